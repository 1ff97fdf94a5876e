"""The figure: how many times faster or slower, per input and peer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from tools.dev.benchmark import peers

# Okabe and Ito's palette, which colour-blind readers can tell apart too.
WIN, LOSS, GREY = '#0072B2', '#D55E00', '#555555'
DPI = 100


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with this file's settings, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({'font.size': 10, 'axes.titlesize': 11})
        yield


def draw(rows: Sequence[dict[str, Any]], subtitle: str) -> Figure:
    """Draw a panel for each input, a bar for each peer, from 1 to its ratio.

    Args:
        rows: Those of the table of the op; ours against ours is left out.
        subtitle: Machine and setting.
    """
    rows = [row for row in rows if row['peer'] != peers.OUR_FUNCTION.name]
    cases = list(dict.fromkeys(row['case'] for row in rows))
    peers_count = len(rows) // len(cases)
    lines = -(-len(cases) // 2)
    height = 1.5 + lines * (0.7 + 0.3 * peers_count)
    figure = Figure(figsize=(11, height), layout='constrained')
    panels = figure.subplots(lines, 2, sharex=True, sharey=True, squeeze=False)
    for axes, case in zip(panels.flat, cases, strict=False):
        draw_case(axes, [row for row in rows if row['case'] == case], case)
    for axes in panels.flat[len(cases) :]:
        axes.axis('off')
    scale(panels[0, 0], rows)
    for axes in panels[-1]:
        axes.set_xlabel("the other's time / ours (log scale)")
    figure.suptitle(
        'DropBlock, forward and backward: how many times as long others take\n'
        f'{subtitle}'
    )
    figure.legend(
        handles=[
            Patch(facecolor=WIN, label='ours is faster'),
            Patch(facecolor=LOSS, label='ours is slower'),
        ],
        loc='outside lower center',
        ncols=2,
        frameon=False,
    )
    return figure


def draw_case(axes: Axes, rows: Sequence[dict[str, Any]], case: str) -> None:
    """Draw the bars of one input, with quartiles and numbers."""
    for place, row in enumerate(rows):
        ratio = row['ratio']
        color = WIN if ratio.median >= 1 else LOSS
        axes.barh(place, ratio.median - 1, left=1, height=0.62, color=color)
        axes.plot([ratio.low, ratio.high], [place, place], color='black', lw=1.2)
        right = ratio.median >= 1
        axes.annotate(
            number(ratio.median),
            (max(ratio.high, 1) if right else min(ratio.low, 1), place),
            xytext=(5 if right else -5, 0),
            textcoords='offset points',
            ha='left' if right else 'right',
            va='center',
        )
    axes.set_yticks(range(len(rows)), [label(row) for row in rows])
    axes.axvline(1, color='black', lw=1)
    axes.grid(axis='x', color='#DDDDDD', lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    axes.set_title(case)


def number(ratio: float) -> str:
    """Return a ratio with as many digits as it deserves."""
    return f'{ratio:.{2 if ratio < 2 else 1 if ratio < 10 else 0}f}'


def label(row: dict[str, Any]) -> str:
    """Name the peer, and our variant where it is not the default."""
    if row['against'] == peers.OURS.name:
        return row['peer']
    return f'{row["peer"]}\nagainst ours, shared too'


def scale(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """Set a logarithmic scale with room for the numbers; first peer on top."""
    low = min(1.0, *(row['ratio'].low for row in rows))
    high = max(1.0, *(row['ratio'].high for row in rows))
    axes.set_xscale('log')
    axes.set_xlim(low / 2.2, high * 2.0)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.invert_yaxis()


def save(rows: Sequence[dict[str, Any]], subtitle: str, path: Path) -> None:
    """Draw and write a PNG."""
    with house_style():
        draw(rows, subtitle).savefig(path, dpi=DPI)
