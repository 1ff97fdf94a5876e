"""Write a checkpoint that stock libraries load; see ``--help``."""

from dropblock_mm.commands.publish import main

if __name__ == '__main__':
    main()
