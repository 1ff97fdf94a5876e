"""What a machine with a GPU is asked to try; see ``__main__``."""
