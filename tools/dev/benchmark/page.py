"""Puts results into the documentation, between two markers of a page."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = '<!-- benchmark: begin -->', '<!-- benchmark: end -->'
PICTURE = '_static/benchmark.png'  # relative to the page


def check(page: Path) -> None:
    """Make sure that a page can take results, before minutes of measuring.

    Raises:
        ValueError: If it has not each marker once, in this order.
    """
    text = page.read_text() if page.is_file() else ''
    counts = [text.count(marker) for marker in (BEGIN, END)]
    if counts != [1, 1] or text.index(BEGIN) > text.index(END):
        raise ValueError(
            f'--docs {page} is no page with one line {BEGIN} and after it one line '
            f'{END}. Name one, or leave --docs out.'
        )


def replace(page: Path, results: str) -> None:
    """Put the results in the place of what is between the markers."""
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f'{before}{BEGIN}\n\n{results}\n\n{END}{after}')
