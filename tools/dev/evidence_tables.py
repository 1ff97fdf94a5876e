"""The tables that docs/en/evidence.md has of each kind of result."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dropblock_mm.analysis.activation_maps.spread import MEASURES
from dropblock_mm.analysis.comparison.arms import (
    Arm,
    Comparison,
    Outcome,
    compare_outcomes,
)
from dropblock_mm.analysis.comparison.differences import detectable, difference
from dropblock_mm.analysis.comparison.text import (
    between,
    main_table,
    sentences,
    signed,
)
from dropblock_mm.tables_md import markdown_table
from tools.dev.gap_over_training import OFF, ON, by_arm, mean_of

Numbers = dict[str, dict[int, list[float]]]  # by arm and seed


def tell_printed(kept: Mapping[str, Any]) -> list[str]:
    """Return what compare prints of a comparison."""
    found = comparison_of(kept)
    return [main_table(found), *sentences(found)]


def _tell_comparison(kept: Mapping[str, Any]) -> list[str]:
    pairs = pairs_table(comparison_of(kept))
    return [*tell_printed(kept), pairs, cost(kept)]


def robustness_values(kept: Mapping[str, Any]) -> dict[tuple[int, float], Numbers]:
    """Return what all draws of masks gave, by block size and keep_prob."""
    values: dict[tuple[int, float], Numbers] = {}
    for point in kept['points']:
        setting = (point['block_size'], point['keep_prob'])
        arm, seed = arm_and_seed(point['model'])
        drawn = values.setdefault(setting, {}).setdefault(arm, {})
        drawn.setdefault(seed, []).append(point['value'])
    return values


def _tell_robustness(kept: Mapping[str, Any]) -> list[str]:
    values = robustness_values(kept)
    whole = next(v for (_, keep_prob), v in values.items() if keep_prob == 1)
    lines = []
    for (block, keep_prob), arms in sorted(values.items(), key=lambda item: item[0]):
        lost = {
            arm: {
                seed: statistics.fmean(drawn) - statistics.fmean(whole[arm][seed])
                for seed, drawn in seeds.items()
            }
            for arm, seeds in arms.items()
        }
        if keep_prob < 1:
            lines += differing(f'block {block}, keep_prob {keep_prob:g}', lost)
    metric = kept['points'][0]['metric']
    return [_table(f'change of {metric}', lines)]


def spread_values(
    kept: Mapping[str, Any],
) -> dict[str, dict[str, dict[int, float]]]:
    """Return the mean spread of each model's maps, by measure, arm and seed."""
    values: dict[str, dict[str, dict[int, float]]] = {}
    for measure in MEASURES:
        for model, value in zip(kept['models'], kept['means'][measure], strict=True):
            arm, seed = arm_and_seed(model)
            values.setdefault(measure, {}).setdefault(arm, {})[seed] = value
    return values


def _tell_maps(kept: Mapping[str, Any]) -> list[str]:
    lines = []
    for measure, values in spread_values(kept).items():
        lines += differing(MEASURES[measure], values, digits=3)
    images = (
        f'{kept["compared"]} of {kept["images"]} images, which all models got right.'
    )
    return [_table('measure', lines), f'Means over {images}']


def _tell_gap(kept: Mapping[str, Any]) -> list[str]:
    lines = []
    for arm, curves in by_arm(kept['runs']).items():
        for epoch, mean in mean_of(curves).items():
            gap = mean[ON] - mean[OFF]
            numbers = [f'{value:.1f}' for value in (mean[ON], mean[OFF], gap)]
            lines.append([arm, str(epoch), *numbers, str(len(curves))])
    headings = [f'{kept["metric"]} of', 'epoch', ON, OFF, 'gap', 'seeds']
    return [markdown_table(headings, lines)]


TOLD = {
    'comparison': _tell_comparison,
    'robustness': _tell_robustness,
    'activation_maps': _tell_maps,
    'gap': _tell_gap,
}


def arm_and_seed(model: str) -> tuple[str, int]:
    """Read the name of a model, 'ARM seed N'."""
    arm, _, seed = model.rpartition(' seed ')
    return arm, int(seed)


def differing(
    what: str, values: Mapping[str, Mapping[int, float]], digits: int = 2
) -> list[list[str]]:
    """Return a line for each arm: its mean, and its difference to the first arm.

    Args:
        what: What the values are.
        values: By arm and seed; the first arm is what others are compared with.
        digits: Behind the point.
    """
    plain = next(iter(values.values()))
    lines = []
    for arm, own in values.items():
        line = [what, arm, f'{statistics.fmean(own.values()):.{digits}f}']
        if own is not plain:
            found = difference({seed: own[seed] - plain[seed] for seed in own})
            ends = found.t_interval or (math.nan, math.nan)
            interval = ' to '.join(f'{end:+.{digits}f}' for end in ends)
            line += [f'{found.mean:+.{digits}f}', interval, found.outcome]
        lines.append([*line, *[''] * (6 - len(line))])
    return lines


def _table(what: str, lines: Sequence[Sequence[str]]) -> str:
    headings = [what, 'arm', 'mean', 'difference', '95 %, paired t', 'outcome']
    return markdown_table(headings, lines)


def comparison_of(kept: Mapping[str, Any]) -> Comparison:
    """Return the comparison that a study's results make."""
    outcomes: dict[str, dict[int, Outcome]] = {}
    metric = kept['metric']
    for run in kept['runs']:
        outcomes.setdefault(run['arm'], {})[run['seed']] = Outcome(
            run['metrics'][metric],
            run['on_training'].get(metric),
            run['images_seen'],
            None,
        )
    return compare_outcomes(metric, outcomes)


def pairs_table(comparison: Comparison) -> str:
    """Return the differences of all pairs of arms, and what could have been seen."""
    lines = []
    for place, arm in enumerate(comparison.arms):
        for other in comparison.arms[place + 1 :]:
            lines.append(_pair(other, arm, comparison.metric))
    headings = ['difference', 'mean', '95 %, paired t', 'bootstrap', 'outcome']
    return markdown_table([*headings, 'would have been seen'], lines)


def _pair(arm: Arm, other: Arm, metric: str) -> list[str]:
    pair = {other.name: other.outcomes, arm.name: arm.outcomes}
    found = compare_outcomes(metric, pair).arms[1].difference
    assert found is not None
    size = detectable(list(found.values.values()))
    return [
        f'{arm.name} - {other.name}',
        signed(found.mean),
        between(found.t_interval),
        between(found.bootstrap),
        found.outcome,
        '' if size is None else f'{size:.2f}',
    ]


def cost(kept: Mapping[str, Any]) -> str:
    """Say what the runs took, and with what they were made."""
    seconds = [run['seconds'] for run in kept['runs']]
    rates: dict[str, list[float]] = {}
    for run in kept['runs']:
        if run['keep_rate'] is not None:
            rates.setdefault(run['arm'], []).append(run['keep_rate'])
    rate = ', '.join(f'{arm} {statistics.fmean(r):.3f}' for arm, r in rates.items())
    made = ', '.join(f'{name} {version}' for name, version in kept['libraries'].items())
    commits = ', '.join(sorted({run['commit'] for run in kept['runs']}))
    return (
        f'{len(seconds)} trainings, {sum(seconds) / 3600:.1f} hours of one CPU core '
        f'that other work shared ({statistics.median(seconds) / 60:.0f} minutes each, '
        f'evaluation included). Share of units kept in the last epoch: {rate}. '
        f'{made}; dropblock_mm at {commits}.'
    )
