"""Train a config over a grid of settings; see ``--help``."""

from dropblock_mm.commands.sweep import main

if __name__ == '__main__':
    main()
