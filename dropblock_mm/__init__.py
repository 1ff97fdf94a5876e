"""DropBlock (Ghiasi, Lin, Le, NeurIPS 2018) for OpenMMLab models."""

from dropblock_mm.version import __version__

__all__ = ['__version__']
