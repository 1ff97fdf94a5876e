"""How far models' maps spread over the same images, and the differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dropblock_mm.analysis.activation_maps.compare import ImageMaps
from dropblock_mm.analysis.activation_maps.spread import (
    MEASURES,
    PairedDifference,
    Spread,
    paired_difference,
    spread_of,
)
from dropblock_mm.analysis.figures.record import NumberTable


@dataclass(frozen=True)
class Measured:
    """How far the maps of an image spread.

    Args:
        index: Of the image, among those that are looked at.
        comparable: Whether every model found the target, or the truth is not known.
        spreads: In the models' order; None where there is no map.
    """

    index: int
    comparable: bool
    spreads: list[Spread | None]


def measure(image: ImageMaps) -> Measured:
    """Measure the maps of an image."""
    spreads = [None if m is None else spread_of(m.activation) for m in image.maps]
    return Measured(image.index, image.comparable, spreads)


def as_numbers(measured: Sequence[Measured], what: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept in JSON: the measures, and what they are of."""
    return {'what': what, 'measured': [asdict(image) for image in measured]}


def known_measures(
    numbers: Mapping[str, Any], what: Mapping[str, Any]
) -> list[Measured]:
    """Return the measures of an earlier, interrupted call; none of anything else."""
    if numbers.get('what') != what:
        return []
    return [
        Measured(
            image['index'],
            image['comparable'],
            [spread and Spread(**spread) for spread in image['spreads']],
        )
        for image in numbers['measured']
    ]


@dataclass(frozen=True)
class SpreadReport:
    """The spread of all models' maps over the images that all found.

    Args:
        names: Of the models.
        images: How many were looked at.
        compared: How many all models got right.
        means: By measure, of each model.
        differences: By measure, of each model but the first, to the first.
    """

    names: list[str]
    images: int
    compared: int
    means: dict[str, list[float]]
    differences: dict[str, list[PairedDifference]]

    def tables(self) -> list[NumberTable]:
        """Return means, and differences with their intervals."""
        if not self.compared:
            return []
        measures = [
            [title, *(f'{value:.4g}' for value in self.means[key])]
            for key, title in MEASURES.items()
        ]
        caption = (
            f'Spread of the maps, mean of {self.compared} images of {self.images} that '
            'every model got right'
        )
        tables = [NumberTable(caption, ['measure', *self.names], measures)]
        rows = [
            _difference_row(title, name, found)
            for key, title in MEASURES.items()
            for name, found in zip(self.names[1:], self.differences[key], strict=True)
        ]
        if rows:
            headings = ['measure', 'model', f'minus {self.names[0]}']
            headings += ['95 % by paired t', '95 % by bootstrap', 'images']
            caption = 'Differences over the same images; an interval with 0 in it '
            caption += 'decides nothing'
            tables.append(NumberTable(caption, headings, rows))
        return tables


def _difference_row(title: str, name: str, found: PairedDifference) -> list[str]:
    return [
        title,
        name,
        f'{found.mean:+.4g}',
        _interval(found.t_interval),
        _interval(found.bootstrap),
        str(found.number),
    ]


def _interval(bounds: tuple[float, float] | None) -> str:
    return '' if bounds is None else f'{bounds[0]:+.4g} to {bounds[1]:+.4g}'


def spread_report(names: Sequence[str], images: Sequence[Measured]) -> SpreadReport:
    """Sum up the measures of the images that every model got right."""
    measured = [
        image.spreads for image in images if image.comparable and all(image.spreads)
    ]
    values = {
        key: [[getattr(row[i], key) for row in measured] for i in range(len(names))]
        for key in MEASURES
    }
    means = {
        key: [sum(column) / len(column) for column in columns]
        for key, columns in values.items()
        if measured
    }
    differences = {
        key: [paired_difference(columns[0], other) for other in columns[1:]]
        for key, columns in values.items()
    }
    return SpreadReport(list(names), len(images), len(measured), means, differences)
