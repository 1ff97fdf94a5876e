"""Measure DropBlock beside others, as ``make bench`` does; see ``--help``."""

import runpy
import sys
from pathlib import Path

if __name__ == '__main__':
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    runpy.run_module('tools.dev.benchmark', run_name='__main__')
