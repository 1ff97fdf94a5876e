"""Sites that do the same on maps of the same size, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dropblock_mm.analysis.sites.site_rows import MapRow, Report, SiteRow
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.targets import options_of
from dropblock_mm.layers import LAYERS, ScheduledDrop


@dataclass(frozen=True)
class SiteKind:
    """Sites with the same settings, and maps of one size.

    Args:
        target: The ``module`` of the target that they belong to.
        row: The first of them.
        map: Its map.
        sites: How many there are.
    """

    target: str
    row: SiteRow
    map: MapRow
    sites: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the map."""
        return self.map.height, self.map.width

    @property
    def label(self) -> str:
        """Its name, as 'backbone.layer3, 8 x 8'."""
        return f'{self.target or "model"}, {self.map.height} x {self.map.width}'

    def layer(self) -> ScheduledDrop:
        """Build the layer that works there."""
        kind = LAYERS[self.row.layer]
        known = options_of(kind)
        options = {k: v for k, v in self.row.options.items() if k in known}
        return kind(keep_prob=self.row.keep_prob, **options)


def site_kinds(report: Report) -> list[SiteKind]:
    """Group a model's sites, in their order.

    Raises:
        RefusedValueError: The size of no map is known.
    """
    groups: dict[str, list[tuple[SiteRow, MapRow]]] = {}
    for row in report.sites:
        for size in row.maps:
            shown = (row.target, row.layer, row.keep_prob, row.options)
            key = repr((*shown, size.height, size.width))
            groups.setdefault(key, []).append((row, size))
    if not groups:
        raise RefusedValueError(
            f'{report.config}: the size of no map is known: {"; ".join(report.notes)}. '
            'Look at it with the command print-sites.'
        )
    return [
        SiteKind(rows[0][0].target, *rows[0], len(rows)) for rows in groups.values()
    ]


def widest_drop(kinds: Sequence[SiteKind]) -> SiteKind:
    """Return the kind whose layer drops the most."""
    return min(kinds, key=lambda kind: kind.map.expected_keep_rate)
