"""Join PASCAL VOC and SBD to the augmented training set; see ``--help``."""

from dropblock_mm.commands.voc_aug import main

if __name__ == '__main__':
    raise SystemExit(main())
