"""Prints what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from dropblock_mm.data_checks.files.plan import DatasetReport

_STYLES = {True: ('error', 'red'), False: ('warning', 'yellow')}


def print_report(reports: Sequence[DatasetReport], console: Console) -> None:
    """Print all data sets, errors first, and a line that sums up."""
    for report in reports:
        console.print(
            f'[bold]{escape(", ".join(report.keys))}[/]: {escape(report.type)}, '
            f'{report.images} images'
        )
        for finding in report.findings:
            name, colour = _STYLES[finding.kind.is_error]
            console.print(f'  [{colour}]{name}[/] {escape(finding.text)}')
            console.print(f'      [dim]{escape(finding.kind.remedy)}[/]')
        if not report.findings:
            console.print('  nothing to complain of')
    console.print(summary(reports))


def total(reports: Sequence[DatasetReport], is_error: bool) -> int:
    """Count the problems of a level."""
    return sum(f.count for report in reports for f in report.levels(is_error))


def summary(reports: Sequence[DatasetReport]) -> str:
    """Say in a line how it went."""
    errors, warnings = (total(reports, level) for level in (True, False))
    counts = ((errors, 'error'), (warnings, 'warning'), (len(reports), 'data set'))
    numbers = [f'{count} {name}{"s" * (count != 1)}' for count, name in counts]
    told = f'{numbers[0]}, {numbers[1]} in {numbers[2]}.'
    if errors:
        return f'{told} Mend the errors before training.'
    return f'{told} Training can start.'


def as_dict(reports: Sequence[DatasetReport]) -> dict[str, Any]:
    """Return plain data, for JSON."""
    return {
        'errors': total(reports, True),
        'warnings': total(reports, False),
        'datasets': [
            {
                'keys': report.keys,
                'type': report.type,
                'images': report.images,
                'findings': [finding.as_dict() for finding in report.findings],
            }
            for report in reports
        ],
    }
