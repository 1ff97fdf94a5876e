"""Draw a model's masks over an image; see ``--help``."""

from dropblock_mm.commands.masks import main

if __name__ == '__main__':
    main()
