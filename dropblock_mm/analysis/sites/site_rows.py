"""What a site does on its maps, as rows that can be printed or written as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from dropblock_mm.analysis.sites.dry_run import MapSize, to_cpu, watch_maps
from dropblock_mm.analysis.sites.part_runs import run_parts
from dropblock_mm.injection.sites import Site
from dropblock_mm.injection.targets import options_of
from dropblock_mm.layers import ScheduledDrop

CPU_SIDE = 256


@dataclass
class MapRow:
    """What a layer does on maps of one size; what it says of them is in ``facts``."""

    channels: int
    height: int
    width: int
    expected_keep_rate: float
    facts: dict[str, Any]


@dataclass
class SiteRow:
    """A site as it is printed.

    ``settings`` are the options that differ from the defaults, ``options`` are all.
    """

    module: str
    place: str
    kind: str
    target: str
    layer: str
    keep_prob: float
    settings: dict[str, Any]
    options: dict[str, Any]
    frozen: bool
    averaged: bool
    input_size: tuple[int, int] | None = None
    maps: list[MapRow] = field(default_factory=list)


@dataclass
class Report:
    """All that is known of a model's sites.

    ``active`` is whether hooks of the config act on them: else they are those that the
    model has.
    """

    config: str
    input_size: tuple[int, int]
    sites: list[SiteRow]
    notes: list[str]
    active: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return what is written as JSON: options and facts are keys like others."""
        return asdict(self) | {'sites': [_flat(asdict(site)) for site in self.sites]}


def _flat(site: dict[str, Any]) -> dict[str, Any]:
    del site['settings']  # are among the options
    options, maps = site.pop('options'), site.pop('maps')
    return {**site, **options, 'maps': [m.pop('facts') | m for m in maps]}


def site_row(site: Site, keep_prob: float) -> SiteRow:
    """Put down the settings of a site."""
    layer = site.layer
    own = layer.final_keep_prob
    names = [name for name in options_of(type(layer)) if hasattr(layer, name)]
    return SiteRow(
        module=site.module,
        place=site.place.name,
        kind=site.place.kind,
        target=site.target.module,
        layer=type(layer).__name__,
        keep_prob=keep_prob if own is None else own,
        settings=layer.settings(),
        options={name: getattr(layer, name) for name in names} | layer.settings(),
        frozen=site.frozen,
        averaged=site.averaged,
    )


def measure(
    model: nn.Module,
    sites: Sequence[Site],
    rows: Sequence[SiteRow],
    size: tuple[int, int],
) -> list[str]:
    """Fill in the maps, and say what could not be found out.

    What the meta device cannot run (deformable convolutions, for one) is run on the
    CPU, on small images, with weights of zero; the model is of no use afterwards.

    Args:
        model: A model on the meta device.
        sites: Its sites.
        rows: A row for each site; ``maps`` and ``input_size`` are filled in.
        size: Height and width of the images.

    Returns:
        list[str]: Sentences for the user.
    """
    missing = _measure_on(model, sites, rows, size, 'meta')
    if not missing:
        return []
    small = (min(size[0], CPU_SIDE), min(size[1], CPU_SIDE))
    left = _measure_on(to_cpu(model), sites, rows, small, 'cpu')
    notes = [
        f'{len(missing)} sites were run on the CPU, with images of '
        f'{small[0]} x {small[1]} only: {reason}'
        for reason in [missing_reason(missing)]
        if len(left) < len(missing)
    ]
    if left:
        notes.append(
            f'{len(left)} sites were not reached by running backbone, neck and heads '
            f'one by one: {missing_reason(left)}'
        )
    return notes


def missing_reason(missing: Mapping[str, str]) -> str:
    """Say which parts are concerned."""
    return '; '.join(sorted(set(missing.values())))


def _measure_on(
    model: nn.Module,
    sites: Sequence[Site],
    rows: Sequence[SiteRow],
    size: tuple[int, int],
    device: str,
) -> dict[str, str]:
    """Fill in what is empty; return the sites that stay empty, each with a reason."""
    with watch_maps(sites) as maps:
        problems = run_parts(model, torch.zeros(2, 3, *size, device=device))
    missing = {}
    for site, row, sizes in zip(sites, rows, maps, strict=True):
        if sizes and not row.maps:
            row.maps = [map_row(site.layer, row.keep_prob, found) for found in sizes]
            row.input_size = size
        if not row.maps:
            part = row.module.partition('.')[0]
            found = [f'{n}: {p}' for n, p in problems.items() if n.startswith(part)]
            missing[f'{row.module}.{row.place}'] = found[0] if found else part
    return missing


def map_row(layer: ScheduledDrop, keep_prob: float, size: MapSize) -> MapRow:
    """Compute what a layer does on maps of one size."""
    channels, height, width = size
    return MapRow(
        channels=channels,
        height=height,
        width=width,
        expected_keep_rate=layer.expected_keep_rate(keep_prob, (height, width)),
        facts=layer.facts(keep_prob, (height, width)),
    )
