"""Evaluate trained models with blocks dropped; see ``--help``."""

from dropblock_mm.commands.robustness import main

if __name__ == '__main__':
    main()
