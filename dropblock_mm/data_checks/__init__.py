"""Finds what is wrong with data before training meets it, or names it when it does.

One way leads through it: ``inventory`` reads the config once, with every path
resolved; a layout of ``layouts`` looks at each data set; ``agreement`` compares them
with each other, with the metrics and the model. ``quick`` refuses what that look finds
before training, and ``thorough`` also opens every picture, by ``images`` and
``label_maps``.

Beside it, for ``tools/train.py``: ``build_errors`` words what fails while data sets are
built, ``loaded`` looks for the files of data sets that are built, with ``file_ends``
also at their last bytes, ``failed_batch`` names the images of an iteration that failed.
Through ``building`` the thorough check does the same for types that no layout knows.
"""
