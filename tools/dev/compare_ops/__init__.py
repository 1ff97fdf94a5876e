"""Whether two builds of mmcv compute the same; see ``__main__``."""
