"""Settings of the documentation: Sphinx, pages in MyST Markdown."""

import sys
from pathlib import Path

from dropblock_mm.version import __version__

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'extensions'))

project = 'dropblock_mm'
author = 'dropblock_mm contributors'
copyright = '2026, dropblock_mm contributors'
release = __version__

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'cells']
source_suffix = {'.md': 'markdown'}
exclude_patterns = ['_build']
html_theme = 'furo'
html_static_path = ['_static']
html_css_files = ['pages.css']

autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings say the types
napoleon_google_docstring = True
napoleon_numpy_docstring = False
myst_enable_extensions = ['colon_fence', 'dollarmath']
myst_heading_anchors = 3
smartquotes_action = 'qe'  # options keep both of their hyphens
