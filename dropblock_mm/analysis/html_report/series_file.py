"""What a series wrote: the tables of reproduce, compare and sweep."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dropblock_mm.analysis.figures.record import NumberTable
from dropblock_mm.analysis.html_report.page import (
    MIME,
    InlinePicture,
    Section,
    is_across,
)
from dropblock_mm.analysis.html_report.written_config import part


def is_series(content: Any) -> bool:
    """Tell a series' JSON from other files."""
    found = set(content) if isinstance(content, dict) else set()
    return {'schema', 'runs'} <= found and bool(found & set(_TABLES))


def series_files(folder: Path) -> list[Path]:
    """Return the series in a folder; files that are no JSON are passed over."""
    found = []
    for path in sorted(folder.glob('*.json')):
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            continue
        if is_series(content):
            found.append(path)
    return found


def series_section(path: Path) -> Section:
    """Describe a series: the paper's numbers beside the measured ones, and its runs.

    Args:
        path: A file of :func:`series_files`.
    """
    content = json.loads(path.read_text(encoding='utf-8'))
    name = str(content.get('table') or path.stem)
    section = Section(f'{name} ({path.parent.name})', 'series')
    section.facts = {
        key: str(content[key])
        for key in ('paper', 'data', 'metric', 'commit', 'written')
        if content.get(key)
    }
    told = content.get('sentences')
    section.sentences = [str(s) for s in told] if isinstance(told, list) else []
    if content.get('smoke'):
        section.missing.append(
            'A smoke run: it shows that everything works, and its numbers mean nothing.'
        )
    try:
        for key, table in _TABLES.items():
            section.tables += [table(name, content)] if key in content else []
        section.tables += _runs(content, section)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        section.missing.append(
            f'{path.name} is not as expected: {type(error).__name__}: {error}.'
        )
    _add_picture(section, path)
    section.commands = [str(content['command'])] if content.get('command') else []
    environment = part(content, 'environment')
    section.environment = {str(k): str(v)[:200] for k, v in environment.items()}
    return section


def _rows(name: str, content: Mapping[str, Any]) -> NumberTable:
    """Return the table, a line for each row."""
    rows = content['rows']
    titles = list(
        dict.fromkeys(
            title
            for row in rows
            for title in [*part(row, 'paper'), *part(row, 'measured')]
        )
    )
    headings = ['row', 'model']
    for title in titles:
        headings += [f'{title}, paper', f'{title}, measured']
    headings.append('seeds')
    lines = [_line(row, titles) for row in rows]
    table = NumberTable(f'{name}, in percent', headings, lines)
    return table.sorted(3, descending=True) if titles else table


def _arms(name: str, content: Mapping[str, Any]) -> NumberTable:
    """Return the arms of a comparison, or the points of a sweep."""
    metric = str(content.get('metric') or 'metric')
    headings = ['arm', f'{metric}, mean', 'sd', 'difference', '95 %, paired t']
    headings += ['95 %, bootstrap', 'training - validation', 'seeds']
    lines = [
        _arm(arm) for arm in [*content.get('arms', ()), *content.get('points', ())]
    ]
    table = NumberTable(f'{name}, by arm', headings, lines)
    return table.sorted(1, descending=True)


def _arm(arm: Mapping[str, Any]) -> list[str]:
    found = part(arm, 'difference')
    values = arm.get('values') or ()
    return [
        str(arm['name']),
        _number(arm.get('mean')),
        _number(arm.get('standard_deviation')),
        _number(found.get('mean'), '+.2f'),
        _interval(found.get('paired_t')),
        _interval(found.get('bootstrap')),
        _number(arm.get('gap')),
        ', '.join(map(str, values)) if isinstance(values, dict) else str(len(values)),
    ]


def _number(value: Any, form: str = '.2f') -> str:
    return '' if value is None else format(value, form)


def _interval(bounds: Any) -> str:
    return '' if not bounds else f'{bounds[0]:+.2f} to {bounds[1]:+.2f}'


def _add_picture(section: Section, path: Path) -> None:
    """Add the figure that was drawn of a series: its numbers are the tables."""
    for end in ('.png', '.svg'):
        picture = path.with_suffix(end)
        if picture.is_file():
            try:
                across = is_across(picture)
            except OSError:
                section.missing.append(f'{picture.name} is no picture.')
                return
            told = ' '.join(section.sentences[:3]) or 'The numbers are in the table.'
            section.pictures.append(
                InlinePicture(
                    section.title,
                    picture.read_bytes(),
                    MIME[end],
                    f'{section.title}, drawn. {told}',
                    across=across,
                )
            )
            return


def _line(row: Mapping[str, Any], titles: list[str]) -> list[str]:
    cells, seeds = [str(row['name']), str(row.get('title', ''))], 0
    for title in titles:
        told = part(row, 'paper').get(title)
        measured = part(row, 'measured', title)
        seeds = max(seeds, len(measured.get('values', ())))
        cells += ['' if told is None else f'{told}', _mean(measured)]
    return [*cells, str(seeds)]


def _mean(measured: Mapping[str, Any]) -> str:
    if not measured:
        return ''
    spread = measured.get('standard_deviation')
    end = '' if spread is None else f' ± {spread:.1f}'
    return f'{measured["mean"]:.1f}{end}'


def _runs(content: Mapping[str, Any], section: Section) -> list[NumberTable]:
    """Return the list of runs; those that are not finished are noted as missing."""
    lines = []
    for run in content['runs']:
        name = f'{run.get("row", run.get("arm"))}, seed {run["seed"]}'
        numbers = ', '.join(
            f'{title} {value:.2f}' for title, value in part(run, 'metrics').items()
        )
        kept = run.get('effective_keep_rate')
        kept = '' if kept is None else f'{kept:.3f}'
        lines.append([name, str(run['state']), numbers, kept])
        if run['state'] != 'finished':
            section.missing.append(f'{name} is {run["state"]}.')
    for failed in content.get('failed', ()):
        section.missing.append(f'{failed["run"]} failed: {failed["how"]}.')
    headings = ['run', 'state', 'numbers', 'units kept']
    return [NumberTable('Runs', headings, lines).sorted(0)] if lines else []


# What a series' JSON may hold, and how it is shown.
_TABLES: dict[str, Callable[[str, Mapping[str, Any]], NumberTable]] = {
    'rows': _rows,
    'arms': _arms,
    'points': _arms,
}
