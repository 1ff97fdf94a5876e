"""Parts of ``draw_masks.py``."""
