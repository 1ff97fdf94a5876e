# PYTHON_ARGCOMPLETE_OK
"""Train a model, optionally with DropBlock; see ``--help``."""

from dropblock_mm.commands.train import main

if __name__ == '__main__':
    main()
