# PYTHON_ARGCOMPLETE_OK
"""Look at all data of a config, and say what is wrong; see ``--help``."""

from dropblock_mm.commands.check_dataset import main

if __name__ == '__main__':
    raise SystemExit(main())
