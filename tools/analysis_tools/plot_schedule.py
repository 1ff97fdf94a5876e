"""Plot what a config will drop, over its iterations; see ``--help``."""

from dropblock_mm.commands.plot_schedule import main

if __name__ == '__main__':
    main()
