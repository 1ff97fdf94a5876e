"""Write one page of HTML about runs; see ``--help``."""

from dropblock_mm.commands.report import main

if __name__ == '__main__':
    main()
