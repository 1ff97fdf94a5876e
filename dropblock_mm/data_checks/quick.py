"""Looks at the files that a config names, before training spends time on them.

Every problem is reported under the config key that names the file, all of them in
one message.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from mmengine.config import Config

from dropblock_mm.data_checks.agreement import disagreements
from dropblock_mm.data_checks.classifiers import spare_outputs
from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.glance import glance
from dropblock_mm.data_checks.inventory import inventory
from dropblock_mm.data_checks.json_files import PARSED_BYTES, forget_json
from dropblock_mm.data_checks.layouts import layout_of
from dropblock_mm.data_checks.layouts.base import NOT_LOCAL, UNKNOWN
from dropblock_mm.data_checks.problems import UNUSABLE, Finding, Problem, tally
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.programs import typed

# Known without a look at the files, and no flaw of theirs.
_UNSAID = (NOT_LOCAL, UNKNOWN)


def check_data(cfg: Config, loops: Sequence[str]) -> None:
    """Find missing and broken data files, and annotations that cannot be used.

    What is odd but does no harm, say boxes that the data set leaves out, is counted
    in a line on stderr. A few images and label maps are decoded, and of annotation
    files above 32 MiB only the ends are read: tools/misc/check_dataset.py looks at
    everything.

    Args:
        cfg (Config): The whole config.
        loops: Which of 'train', 'val' and 'test' are going to run.

    Raises:
        ValueError: If there are any problems.
    """
    found = inventory(cfg.to_dict(), loops)
    problems: list[str] = []
    looks = []
    for entry in found.data_sets:
        look = layout_of(entry).look(entry, PARSED_BYTES)
        errors = list(_errors(entry, look.problems))
        if look.usable and not errors:
            errors = list(_errors(entry, glance(entry)))
        problems += errors
        looks.append(look)
    problems += disagreements(found, looks, PARSED_BYTES)
    for text in spare_outputs(found, list(zip(found.data_sets, looks, strict=True))):
        _say(text)
    forget_json()  # training needs the memory
    if problems:
        raise refusal(problems)


def refusal(problems: Iterable[str]) -> ValueError:
    """Put problems, each under its config key, into one error."""
    lines = list(dict.fromkeys(problems))
    return RefusedValueError(
        '\n  '.join(['the data that the config names cannot be used:', *lines])
        + '\nChange these keys in the config or by --cfg-options KEY=VALUE.'
    )


def _errors(entry: DataSetEntry, problems: Iterable[Problem]) -> Iterator[str]:
    """Word the errors of a data set, each under its key, and warn of all else."""
    findings = []
    for finding in tally(problem for problem in problems if problem[0] != UNUSABLE):
        if not finding.kind.is_error:
            findings.append(finding)
            continue
        yield _worded(entry, finding)
    yield from (text for kind, text in problems if kind == UNUSABLE)
    _warn(entry, [found for found in findings if found.kind not in _UNSAID])


def _worded(entry: DataSetEntry, finding: Finding) -> str:
    """Name the file that names the data; without a list, a folder is one."""
    names = entry.annotations or next(iter(entry.folders.values()), entry.root)
    if names is None:
        return f'{entry.key}: {finding.sentence}. {finding.kind.remedy}'
    return names.problem(finding.sentence, finding.kind.remedy)


def _warn(entry: DataSetEntry, findings: Sequence[Finding]) -> None:
    """Say in a line what is odd."""
    if findings:
        counts = ', '.join(f'{found.count} {found.kind.title}' for found in findings)
        check = f'{typed("check-dataset")} CONFIG'
        _say(f'{entry.key}: {counts}. {check} names them.')


def _say(text: str) -> None:
    """Warn on stderr; one process of a machine speaks."""
    if os.environ.get('LOCAL_RANK', '0') == '0':
        print(f'warning: {text}', file=sys.stderr, flush=True)
