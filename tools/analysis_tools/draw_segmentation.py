"""Draw a sheet of images with predicted label maps; see ``--help``."""

from dropblock_mm.commands.draw_segmentation import main

if __name__ == '__main__':
    main()
