"""Looks into every file of the data of a config."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dropblock_mm.data_checks import images, label_maps
from dropblock_mm.data_checks.agreement import disagreements
from dropblock_mm.data_checks.building import built_flaws
from dropblock_mm.data_checks.classifiers import spare_outputs
from dropblock_mm.data_checks.duplicates import copies, in_two_classes, shared_images
from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.inventory import inventory
from dropblock_mm.data_checks.jobs import Job, do, mirrored_as_turned
from dropblock_mm.data_checks.json_files import forget_json
from dropblock_mm.data_checks.layouts import Look, layout_of
from dropblock_mm.data_checks.problems import (
    UNUSABLE,
    Finding,
    Problem,
    tally,
    warning,
)
from dropblock_mm.datasets.pool import done_in_order

ODD = warning('settings that may not be meant', 'Training takes them as they are.')
KEPT_EXAMPLES = 100
ALL_BYTES = 2**63
_CHUNK = 16
# What the look at a data set has counted, before single files are opened.
_COUNTED = (images.MISSING, label_maps.MISSING)


class Bars(Protocol):
    """Shows how far it is."""

    def begin(self, description: str, total: int) -> None:
        """Begin a bar of so many steps."""

    def advance(self) -> None:
        """Move the bar by a step."""


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
    bars: Bars,
) -> list[DatasetReport]:
    """Check all data sets of some loops.

    Args:
        config: The whole config, as a dict.
        loops: Some of 'train', 'val' and 'test'.
        workers (int): Processes that decode images; 0 for this one alone.
        bars: Shows a bar for each data set.

    Returns:
        list[DatasetReport]: One for each; a data set that occurs twice is one.
    """
    found = inventory(config, loops)
    looks: list[Look] = []
    merged: list[_Merged] = []
    seen: dict[str, str] = {}
    for entry in found.data_sets:
        look = layout_of(entry).look(entry, ALL_BYTES)
        looks.append(look)
        same = next((one for one in merged if is_same(one.entry, entry)), None)
        if same is None:
            same = _Merged(entry)
            same.take_files(look, workers, bars, seen)
            merged.append(same)
        same.add(entry.key, look.problems)
        forget_json()
    flaws = [(UNUSABLE, text) for text in disagreements(found, looks, ALL_BYTES)]
    seen_in = list(zip(found.data_sets, looks, strict=True))
    flaws += [(ODD, text) for text in spare_outputs(found, seen_in)]
    forget_json()
    flaws += built_flaws(config, seen_in)
    reports = [one.report() for one in merged]
    if flaws:
        findings = tally(flaws, KEPT_EXAMPLES)
        settings = DatasetReport(['settings'], 'config', findings=findings)
        reports.insert(0, settings)
    return reports


@dataclass
class _Merged:
    """A data set with what was found in it, in one loop or in several."""

    entry: DataSetEntry
    keys: list[str] = field(default_factory=list)
    looked: Counter[Problem] = field(default_factory=Counter)
    opened: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, key: str, problems: Iterable[Problem]) -> None:
        """Take what a look found; what was found before counts once."""
        self.keys.append(key)
        self.looked |= Counter(problems)

    def take_files(
        self, look: Look, workers: int, bars: Bars, seen: dict[str, str]
    ) -> None:
        """Open all files, if the look found any."""
        layout, entry = layout_of(self.entry), self.entry
        jobs = list(layout.jobs(entry)) if look.usable else []
        if entry.options.get('indices') is not None:  # others may be left out
            jobs = [job for job in jobs if os.path.isfile(job.image)]
        self.count = len(jobs)
        self.opened += shared_images(jobs, entry.loop, seen)
        if not jobs:
            return
        bars.begin(entry.key, len(jobs))
        values: set[int] = set()
        labelled: dict[bytes, Job] = {}
        for job, outcome in zip(
            jobs, done_in_order(do, jobs, workers, _CHUNK), strict=True
        ):
            self.opened += copies(job.image, outcome.digest, entry.loop, seen)
            self.opened += in_two_classes(job, outcome.digest, labelled)
            self.opened += [p for p in outcome.problems if p[0] not in _COUNTED]
            values |= outcome.values
            bars.advance()
        self.opened = mirrored_as_turned(self.opened)
        self.opened += layout.afterwards(entry, values)

    def report(self) -> DatasetReport:
        """Sum up."""
        problems = [*self.looked.elements(), *self.opened]
        findings = tally(problems, KEPT_EXAMPLES)
        return DatasetReport(self.keys, self.entry.type, self.count, findings)


def is_same(one: DataSetEntry, other: DataSetEntry) -> bool:
    """Tell whether two differ in nothing that is looked for in single files."""
    ignored = ('pipeline', 'test_mode', 'filter_cfg', 'indices')
    kept = [
        {key: value for key, value in entry.config.items() if key not in ignored}
        for entry in (one, other)
    ]
    return kept[0] == kept[1] and one.ignored == other.ignored


def total(reports: Sequence[DatasetReport], is_error: bool) -> int:
    """Count the problems of a level."""
    return sum(f.count for report in reports for f in report.levels(is_error))


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
