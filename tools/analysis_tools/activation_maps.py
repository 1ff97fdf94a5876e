"""Show where trained models look; see ``--help``."""

from dropblock_mm.commands.activation_maps import main

if __name__ == '__main__':
    main()
