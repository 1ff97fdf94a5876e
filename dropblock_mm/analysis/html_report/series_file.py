"""What a series wrote: the table of reproduce, and others of its form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropblock_mm.analysis.figures.record import NumberTable
from dropblock_mm.analysis.html_report.page import Section
from dropblock_mm.analysis.html_report.written_config import part


def is_series(content: Any) -> bool:
    """Tell a series' JSON from other files."""
    return isinstance(content, dict) and {'schema', 'rows', 'runs'} <= set(content)


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
        for key in ('paper', 'data', 'commit', 'written')
        if content.get(key)
    }
    if content.get('smoke'):
        section.missing.append(
            'A smoke run: it shows that everything works, and its numbers mean nothing.'
        )
    try:
        section.tables = [_rows(name, content), *_runs(content, section)]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        section.missing.append(
            f'{path.name} is not as expected: {type(error).__name__}: {error}.'
        )
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
        name = f'{run["row"]}, seed {run["seed"]}'
        numbers = ', '.join(
            f'{title} {value:.2f}' for title, value in part(run, 'metrics').items()
        )
        kept = run.get('effective_keep_rate')
        kept = '' if kept is None else f'{kept:.3f}'
        lines.append([name, str(run['state']), numbers, kept])
        if run['state'] != 'finished':
            section.missing.append(f'{name} is {run["state"]}.')
    headings = ['run', 'state', 'numbers', 'units kept']
    return [NumberTable('Runs', headings, lines).sorted(0)] if lines else []
