"""What came of the points of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dropblock_mm.analysis.comparison.arms import Arm, Comparison, compare
from dropblock_mm.analysis.comparison.text import between, run_json, signed
from dropblock_mm.hooks.grid import NONE, Point
from dropblock_mm.reproduction.report import Result, environment_table
from dropblock_mm.tables_md import markdown_table


@dataclass(frozen=True)
class Sweep:
    """Points with what their runs gave.

    Args:
        metric: The name of the metric; '' before the first evaluation.
        points: In the order of the grid.
        arms: What came of each, by the point's name.
        compared: Whether the differences are to the plain model.
        failed: Runs whose last command failed, and how.
    """

    metric: str
    points: list[Point]
    arms: dict[str, Arm]
    compared: bool
    failed: list[tuple[Result, str]]

    def arm(self, point: Point) -> Arm:
        """Return what came of a point."""
        return self.arms[point.name]


def gather(
    results: Sequence[Result], points: Sequence[Point], metric: str | None
) -> Sweep:
    """Gather what the runs of a grid gave.

    Args:
        results: Of all runs; those of the plain model are compared with, if any.
        points: The grid.
        metric: What was asked for; the usual one if None.
    """
    ordered = sorted(points, key=lambda point: point != NONE)
    place = {point.name: number for number, point in enumerate(ordered)}
    known = [result for result in results if result.run.row.name in place]
    known.sort(key=lambda result: place[result.run.row.name])
    found = compare(known, metric) if known else Comparison('', [])
    compared = bool(found.arms) and found.arms[0].name == NONE.name
    arms = {arm.name: arm for arm in found.arms}
    for point in points:
        arms.setdefault(point.name, Arm(point.name, {}))
    failed = [(result, how) for result in known if (how := result.failure)]
    return Sweep(found.metric, list(points), arms, compared, failed)


def table(sweep: Sweep) -> str:
    """Return a line for each point."""
    headings = ['method', 'groups', 'keep_prob', 'block', 'place', 'schedule']
    headings += [f'{sweep.metric or "metric"}, mean', 'sd']
    headings += ['difference', '95 %, paired t'] if sweep.compared else []
    lines = [_line(sweep, point) for point in sweep.points]
    return markdown_table([*headings, 'seeds'], lines)


def _line(sweep: Sweep, point: Point) -> list[str]:
    arm = sweep.arm(point)
    mean, spread = arm.mean(), arm.spread()
    cells = [point.method, point.groups, f'{point.keep_prob:g}']
    cells += [str(point.block_size or ''), point.place]
    cells += ['' if point == NONE else 'on' if point.schedule else 'off']
    cells += ['' if value is None else f'{value:.2f}' for value in (mean, spread)]
    if sweep.compared:
        found = arm.difference
        some = found is not None and found.values
        cells += [signed(found.mean) if found and some else '']
        cells += [between(found.t_interval) if found else '']
    return [*cells, ', '.join(map(str, sorted(arm.outcomes))) or 'none finished']


def failures_table(sweep: Sweep) -> str:
    """Return the runs that failed; '' if none did."""
    if not sweep.failed:
        return ''
    lines = [
        [str(result.run), how, str(result.run.work_dir / 'output.log')]
        for result, how in sweep.failed
    ]
    return markdown_table(['failed', 'how', 'output'], lines)


def as_text(sweep: Sweep) -> str:
    """Return what is to be told at the end."""
    parts = [table(sweep), failures_table(sweep), _note(sweep)]
    return '\n\n'.join(part for part in parts if part)


def _note(sweep: Sweep) -> str:
    differences = [arm.difference for arm in sweep.arms.values()]
    others = sum(bool(found and found.values) for found in differences)
    left_out = [
        f'{arm.name}, seed {seed}: {why}'
        for arm in sweep.arms.values()
        for seed, why in arm.left_out.items()
    ]
    note = f'Left out of the differences: {"; ".join(left_out)}. ' if left_out else ''
    if sweep.compared and others > 1:
        note += (
            f'{others} points were compared with none: the best of many looks better '
            'than it is. Train it again with other seeds before you rely on it.'
        )
    return note.strip()


def as_markdown(
    sweep: Sweep, facts: Mapping[str, Any], title: str, pictures: Sequence[str]
) -> str:
    """Return the tables, the figures, and what they were made with."""
    shown = [f'![{name}]({name})' for name in pictures]
    parts = [f'## {title}', as_text(sweep), *shown]
    parts += [f'```shell\n{facts["command"]}\n```']
    return '\n\n'.join([*parts, environment_table(facts['environment'])]) + '\n'


def as_json(
    sweep: Sweep, results: Sequence[Result], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that is known as what JSON can hold."""
    return {
        'schema': 1,
        **facts,
        'metric': sweep.metric or None,
        'points': [
            {**asdict(point), 'name': point.name, **_numbers(sweep.arm(point))}
            for point in sweep.points
        ],
        'failed': [
            {'run': str(result.run), 'how': how} for result, how in sweep.failed
        ],
        'runs': [run_json(result) for result in results],
    }


def _numbers(arm: Arm) -> dict[str, Any]:
    found = arm.difference
    numbers: dict[str, Any] = {
        'mean': arm.mean(),
        'standard_deviation': arm.spread(),
        'values': {seed: outcome.value for seed, outcome in arm.outcomes.items()},
    }
    if found is not None and found.values:
        numbers['difference'] = {'mean': found.mean, 'paired_t': found.t_interval}
    return numbers
