"""Draw a sheet of images with predicted boxes; see ``--help``."""

from dropblock_mm.commands.draw_predictions import main

if __name__ == '__main__':
    main()
