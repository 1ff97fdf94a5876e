"""What a site does on its maps, as rows that can be printed or written as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from dropblock_mm.analysis.sites.dry_run import MapSize, to_cpu, watch_maps
from dropblock_mm.analysis.sites.part_runs import run_parts
from dropblock_mm.injection.sites import Site
from dropblock_mm.ops import seed_rate
from dropblock_mm.ops.rates import clamp_block, keep_rate_of_gamma

CPU_SIDE = 256


@dataclass
class MapRow:
    """What DropBlock does on maps of one size."""

    channels: int
    height: int
    width: int
    gamma: float
    expected_keep_rate: float
    covers_map: bool


@dataclass
class SiteRow:
    """A site as it is printed."""

    module: str
    place: str
    kind: str
    target: str
    block_size: int | tuple[int, ...]
    keep_prob: float
    gamma_scale: float
    calibrated: bool
    shared_mask: bool
    frozen: bool
    input_size: tuple[int, int] | None = None
    maps: list[MapRow] = field(default_factory=list)


@dataclass
class Report:
    """All that is known of a model's sites."""

    config: str
    input_size: tuple[int, int]
    sites: list[SiteRow]
    notes: list[str]


def site_row(site: Site, keep_prob: float) -> SiteRow:
    """Put down the settings of a site."""
    layer = site.layer
    own = layer.final_keep_prob
    return SiteRow(
        module=site.module,
        place=site.place.name,
        kind=site.place.kind,
        target=site.target.module,
        block_size=layer.block_size,
        keep_prob=keep_prob if own is None else own,
        gamma_scale=layer.gamma_scale,
        calibrated=layer.calibrated,
        shared_mask=layer.shared_mask,
        frozen=site.frozen,
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
    for row, sizes in zip(rows, maps, strict=True):
        if sizes and not row.maps:
            row.maps = [map_row(row, size_of_map) for size_of_map in sizes]
            row.input_size = size
        if not row.maps:
            part = row.module.partition('.')[0]
            found = [f'{n}: {p}' for n, p in problems.items() if n.startswith(part)]
            missing[f'{row.module}.{row.place}'] = found[0] if found else part
    return missing


def map_row(row: SiteRow, size: MapSize) -> MapRow:
    """Compute what the site does on maps of one size."""
    channels, height, width = size
    gamma = seed_rate(
        keep_prob=row.keep_prob,
        block_size=row.block_size,
        feature_size=(height, width),
        gamma_scale=row.gamma_scale,
        calibrated=row.calibrated,
    )
    return MapRow(
        channels=channels,
        height=height,
        width=width,
        gamma=gamma,
        expected_keep_rate=keep_rate_of_gamma(gamma, row.block_size, (height, width)),
        covers_map=clamp_block(row.block_size, (height, width)) == (height, width),
    )
