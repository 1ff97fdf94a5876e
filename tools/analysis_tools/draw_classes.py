"""Draw a sheet of images with predicted classes; see ``--help``."""

from dropblock_mm.commands.draw_classes import main

if __name__ == '__main__':
    main()
