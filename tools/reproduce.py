"""Train the rows of a table, and put the paper's numbers beside; see ``--help``."""

from dropblock_mm.commands.reproduce import main

if __name__ == '__main__':
    main()
