"""The parts of ``set_up.py``; standard library only."""

from tools.dev.environment.machine import SetUpError
from tools.dev.environment.whole import ensure_environment

__all__ = ['SetUpError', 'ensure_environment']
