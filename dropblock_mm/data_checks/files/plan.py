"""Goes through the data sets of a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rich.progress import Progress

from dropblock_mm.data_checks.agreement import class_count_problems
from dropblock_mm.data_checks.annotations import Finding, Problem, error, tally, warning
from dropblock_mm.data_checks.check import (
    annotation_problems,
    evaluator_problems,
    path_problems,
)
from dropblock_mm.data_checks.files.jobs import Job, Outcome, do, jobs_of, label_rule
from dropblock_mm.data_checks.files.label_maps import UNUSED
from dropblock_mm.data_checks.json_files import forget_json
from dropblock_mm.data_checks.paths import DataSetConfig, datasets_of

UNUSABLE = error('paths or settings that cannot be used', 'Change these keys.')
NO_IMAGES = error('data set without images', 'Give a list with names.')
UNKNOWN_LAYOUT = warning(
    'type of data set that is unknown here',
    'Only its annotation file and folders were looked for.',
)
NOT_LOCAL = warning(
    'data set that is not on this disk',
    'It is remote, or the config makes it when training starts.',
)
TWICE = warning('images that are listed twice', 'They are seen twice as often.')
SHARED = warning(
    'images of training that evaluation uses too', 'Its results are too good.'
)
LAYOUTS = ('CocoDataset', 'XMLDataset', 'BaseSegDataset')
KEPT_EXAMPLES = 100
ALL_BYTES = 2**63
_CHUNK = 16


@dataclass
class DatasetReport:
    """What was found in one data set."""

    keys: list[str]
    type: str
    images: int = 0
    findings: list[Finding] = field(default_factory=list)

    def levels(self, is_error: bool) -> list[Finding]:
        """The errors, or else the warnings."""
        return [f for f in self.findings if f.kind.is_error == is_error]


def check_datasets(
    config: Mapping[str, Any],
    loops: Sequence[str],
    workers: int,
    progress: Progress,
) -> list[DatasetReport]:
    """Check all data sets of some loops.

    Args:
        config: The whole config, as a dict.
        loops: Some of 'train', 'val' and 'test'.
        workers (int): Processes that decode images; 0 for this one alone.
        progress: Shows a bar for each data set.

    Returns:
        list[DatasetReport]: One for each; a data set that occurs twice is one.
    """
    reports: list[tuple[DataSetConfig, DatasetReport]] = []
    seen: dict[str, str] = {}
    settings = []
    for loop in loops:
        settings.append(check_settings(config, loop))
        for dataset in datasets_of(config, loop):
            same = [r for d, r in reports if is_same(d, dataset)]
            if same:
                same[0].keys.append(dataset.key)
                continue
            report = DatasetReport([dataset.key], str(dataset.config.get('type')))
            jobs = jobs_of(dataset) if is_usable(dataset, report) else []
            overlap = shared_images(jobs, loop, seen)
            problems = [*overlap, *find_problems(dataset, jobs, workers, progress)]
            report.images = len(jobs)
            if not jobs and not report.findings:
                problems.append((NO_IMAGES, ''))
            report.findings += tally(problems, KEPT_EXAMPLES)
            report.findings.sort(key=lambda finding: not finding.kind.is_error)
            reports.append((dataset, report))
            forget_json()
    found = [report for report in settings if report.findings]
    return found + [report for _, report in reports]


def check_settings(config: Mapping[str, Any], loop: str) -> DatasetReport:
    """Compare the data with the metrics' files and with the model's classes."""
    flaws = [*evaluator_problems(config, loop), *class_count_problems(config, loop)]
    findings = tally(((UNUSABLE, flaw) for flaw in flaws), KEPT_EXAMPLES)
    return DatasetReport([f'settings for {loop}'], 'config', findings=findings)


def is_same(one: DataSetConfig, other: DataSetConfig) -> bool:
    """Tell whether two differ in nothing that is checked here."""
    ignored = ('pipeline', 'test_mode', 'filter_cfg', 'indices')
    kept = [
        {key: value for key, value in dataset.config.items() if key not in ignored}
        for dataset in (one, other)
    ]
    return kept[0] == kept[1]


def is_usable(dataset: DataSetConfig, report: DatasetReport) -> bool:
    """Look at paths and type first, and report why there is nothing to check."""
    flaws = path_problems(dataset, parsed_bytes=ALL_BYTES)
    problems: list[Problem] = [(UNUSABLE, flaw) for flaw in flaws]
    if not flaws and dataset.layout not in LAYOUTS:
        problems.append((UNKNOWN_LAYOUT, report.type))
    elif not flaws and not dataset.folders() and not dataset.path('ann_file'):
        problems.append((NOT_LOCAL, ''))
    report.findings += tally(problems, KEPT_EXAMPLES)
    return not problems


def shared_images(
    jobs: Sequence[Job], loop: str, seen: dict[str, str]
) -> Iterator[Problem]:
    """Compare with the images met before, and add these to ``seen``."""
    met = set()
    for job in jobs:
        if job.image in met:
            yield TWICE, job.image
        elif seen.get(job.image, loop) == 'train' != loop:
            yield SHARED, job.image
        met.add(job.image)
        seen.setdefault(job.image, loop)


def find_problems(
    dataset: DataSetConfig, jobs: Sequence[Job], workers: int, progress: Progress
) -> Iterator[Problem]:
    """Yield the problems of annotations, images and label maps."""
    if not jobs:
        return
    yield from annotation_problems(dataset, parsed_bytes=ALL_BYTES)
    task = progress.add_task(dataset.key, total=len(jobs))
    values: set[int] = set()
    for outcome in outcomes(jobs, workers):
        yield from outcome.problems
        values |= outcome.values
        progress.advance(task)
    rule = label_rule(dataset) if values else None
    if rule:
        for index, name in enumerate(rule.classes):
            if index + rule.first not in values:
                yield UNUSED, name


def outcomes(jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Do the jobs, in their order."""
    if workers < 1:
        yield from map(do, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(do, jobs, chunksize=_CHUNK)
