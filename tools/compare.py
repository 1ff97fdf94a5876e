"""Train a config without DropBlock and with, and compare; see ``--help``."""

from dropblock_mm.commands.compare import main

if __name__ == '__main__':
    main()
