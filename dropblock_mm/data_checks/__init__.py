"""Finds what is wrong with data before training meets it, or names it when it does.

In the order in which ``tools/train.py`` uses them: ``check`` reads the files that the
config names, ``build_errors`` words what fails while data sets are built, ``loaded``
looks for the files of data sets that are built, with ``file_ends`` also at their last
bytes, ``failed_batch`` names the images of an iteration that failed.
``tools/misc/check_dataset.py`` uses the same parts.
"""
