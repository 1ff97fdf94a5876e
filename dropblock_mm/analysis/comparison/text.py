"""A comparison in words and in tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dropblock_mm.analysis.comparison.arms import (
    Arm,
    Comparison,
    diverged,
    unfinished,
)
from dropblock_mm.analysis.comparison.differences import (
    CONFIDENCE,
    MOST_SEEDS,
    POWER,
    Interval,
)
from dropblock_mm.reproduction.report import Result, environment_table, state_in_json
from dropblock_mm.tables_md import markdown_table

SCHEMA = 1
_LEVEL = f'{100 * CONFIDENCE:.0f} %'


def signed(value: float) -> str:
    """Write a difference, +0.50."""
    return f'{value:+.2f}'


def between(interval: Interval | None) -> str:
    """Write an interval, '+0.10 to +0.90'."""
    return '' if interval is None else f'{signed(interval[0])} to {signed(interval[1])}'


def verdict(arm: Arm, metric: str, plain: str = 'none') -> str:
    """Say in a sentence what the seeds show, and no more.

    Args:
        arm: Another arm than the plain one.
        metric: Its name.
        plain: Name of the plain arm.
    """
    found = arm.difference
    if found is None or not found.values:
        return f'{arm.name}: no seed has been trained with it and without.'
    number = len(found.values)
    mean = f'{arm.name} minus {plain} is {signed(found.mean)} in {metric}'
    if number == 1:
        return f'Undecided: {mean}, but one pair has no interval. Give more --seeds.'
    if found.t_interval is None:
        return (
            f'Undecided: {mean} in each of {number} seeds, and differences that are '
            'all equal have no interval.'
        )
    interval = f'{_LEVEL} interval {between(found.t_interval)}, paired t'
    if found.outcome == 'undecided':
        return f'Undecided: {mean} over {number} seeds ({interval}). {_more(arm)}'
    return (
        f'{arm.name} is {found.outcome} than {plain} in {metric}, by '
        f'{abs(found.mean):.2f} in the mean of {number} seeds ({interval}).'
    )


def _more(arm: Arm) -> str:
    """Say what would decide."""
    found = arm.difference
    assert found is not None
    needed = found.seeds_needed
    low, high = found.t_interval or (math.nan, math.nan)
    disagree = low > 0 or high < 0
    begin = 'The bootstrap interval has zero in it. ' if disagree else ''
    if needed is None:
        return f'{begin}Even {MOST_SEEDS:,} seeds would hardly decide it.'
    chance = f'a chance of {100 * POWER:.0f} %'
    if needed <= len(found.values):
        return f'{begin}More seeds are needed.'
    return (
        f'{begin}With this mean and spread it takes about {needed} seeds for {chance} '
        'to decide it.'
    )


def main_table(comparison: Comparison) -> str:
    """Return a line for each arm."""
    metric = comparison.metric or 'metric'
    headings = ['arm', f'{metric}, mean', 'sd', 'difference', f'{_LEVEL}, paired t']
    headings += [f'{_LEVEL}, bootstrap', 'training - validation', 's / iteration']
    lines = [_line(arm) for arm in comparison.arms]
    return markdown_table([*headings, 'seeds'], lines)


def _line(arm: Arm) -> list[str]:
    found = arm.difference
    some = found is not None and found.values
    return [
        arm.name,
        _number(arm.mean()),
        _number(arm.spread()),
        signed(found.mean) if found and some else '',
        between(found.t_interval) if found else '',
        between(found.bootstrap) if found else '',
        _number(arm.gap()),
        _number(arm.seconds(), 3),
        ', '.join(map(str, sorted(arm.outcomes))) or 'none finished',
    ]


def _number(value: float | None, digits: int = 2) -> str:
    return '' if value is None else f'{value:.{digits}f}'


def sentences(comparison: Comparison) -> list[str]:
    """Return what each arm shows, and what is to be known of it."""
    plain = comparison.arms[0].name
    told = [verdict(arm, comparison.metric, plain) for arm in comparison.others]
    for arm in comparison.others:
        for seeds, why in _grouped(arm.left_out):
            told.append(f'Left out of {arm.name}, seed {seeds}: {why} than {plain}.')
        for seeds, note in _grouped(arm.notes):
            told.append(f'{arm.name}, seed {seeds}: {note}.')
    found = [arm.difference for arm in comparison.others]
    if len(found) > 1 and any(one and one.t_interval for one in found):
        told.append(
            f'{len(found)} arms were compared: each interval holds for its '
            'own arm, and that one of several excludes zero by chance is more likely '
            'than 5 %.'
        )
    return told


def _grouped(seeds: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return seeds with the same text together."""
    texts = dict.fromkeys(seeds.values())
    return [
        (', '.join(str(seed) for seed in sorted(seeds) if seeds[seed] == text), text)
        for text in texts
    ]


def as_text(comparison: Comparison, results: Sequence[Result]) -> str:
    """Return the table and the sentences, for a terminal."""
    parts = [main_table(comparison), '\n'.join(sentences(comparison))]
    groups = {'Not finished': unfinished(results), 'Left out': diverged(results)}
    for title, left in groups.items():
        told = '; '.join(f'{r.run} ({r.state})' for r in left)
        parts += [f'{title}: {told}.'] if left else []
    return '\n\n'.join(part for part in parts if part)


def as_markdown(
    comparison: Comparison,
    results: Sequence[Result],
    facts: Mapping[str, Any],
    title: str,
) -> str:
    """Return the table, what it shows, every run, and what it was made with."""
    parts = [
        f'## {title}',
        main_table(comparison),
        *sentences(comparison),
        f'The metric is {comparison.metric or "not known yet"}, of the last '
        f'evaluation. Difference: arm minus {comparison.arms[0].name} with the same '
        'seed, mean over the seeds. Training - validation: the metric on training '
        'images, in the pipeline of validation, minus that of validation.',
        f'```shell\n{facts["command"]}\n```',
        runs_table(comparison, results),
        environment_table(facts['environment']),
    ]
    return '\n\n'.join(parts) + '\n'


def runs_table(comparison: Comparison, results: Sequence[Result]) -> str:
    """Return a line for each run."""
    headings = ['run', 'state', comparison.metric or 'metric', 'on training images']
    lines = []
    for result in results:
        progress = result.progress
        numbers = [
            _number(numbers.get(comparison.metric))
            for numbers in (progress.metrics, progress.on_training)
        ]
        kept = _number(progress.keep_rate, 3)
        lines.append([str(result.run), result.state, *numbers, kept, result.duration])
    return markdown_table([*headings, 'kept', 'time, UTC'], lines)


def as_json(
    comparison: Comparison, results: Sequence[Result], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that is known as what JSON can hold."""
    return {
        'schema': SCHEMA,
        **facts,
        'metric': comparison.metric or None,
        'confidence': CONFIDENCE,
        'arms': [_arm_json(arm, comparison) for arm in comparison.arms],
        'sentences': sentences(comparison),
        'runs': [run_json(result) for result in results],
    }


def _arm_json(arm: Arm, comparison: Comparison) -> dict[str, Any]:
    content: dict[str, Any] = {
        'name': arm.name,
        'mean': arm.mean(),
        'standard_deviation': arm.spread(),
        'values': {seed: found.value for seed, found in arm.outcomes.items()},
        'gap': arm.gap(),
        'seconds_per_iteration': arm.seconds(),
    }
    found = arm.difference
    if found is not None:
        content['difference'] = {
            'mean': found.mean if found.values else None,
            'values': found.values,
            'paired_t': found.t_interval,
            'bootstrap': found.bootstrap,
            'outcome': found.outcome,
            'seeds_needed': found.seeds_needed,
            'left_out': arm.left_out,
            'notes': arm.notes,
        }
    return content


def run_json(result: Result) -> dict[str, Any]:
    """Return what is known of a run."""
    return {
        'arm': result.run.row.name,
        'seed': result.run.seed,
        'state': state_in_json(result),
        'metrics': result.progress.metrics,
        'on_training': result.progress.on_training,
        'effective_keep_rate': result.progress.keep_rate,
        'images_seen': result.progress.seen,
        'config': str(result.run.config),
        'work_dir': str(result.run.work_dir),
        'attempts': result.attempts,
    }
