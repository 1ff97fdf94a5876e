"""Predict on images, and draw it; see ``--help``."""

from dropblock_mm.commands.predict import main

if __name__ == '__main__':
    main()
