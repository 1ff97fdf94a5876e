"""The parts of ``set_up.py``; standard library only."""

from .machine import SetUpError
from .whole import ensure_environment

__all__ = ['SetUpError', 'ensure_environment']
