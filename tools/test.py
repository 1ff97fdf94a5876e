# PYTHON_ARGCOMPLETE_OK
"""Evaluate a checkpoint; see ``--help``."""

from dropblock_mm.commands.test import main

if __name__ == '__main__':
    main()
