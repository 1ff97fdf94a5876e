"""Parts of the converters of PASCAL VOC."""
