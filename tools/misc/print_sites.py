# PYTHON_ARGCOMPLETE_OK
"""Show where DropBlock goes in a model, and what it does there; see ``--help``."""

from dropblock_mm.commands.print_sites import main

if __name__ == '__main__':
    main()
