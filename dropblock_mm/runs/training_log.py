"""Read back what a run wrote to ``vis_data/scalars.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropblock_mm.errors import RefusedFileError, RefusedValueError
from dropblock_mm.runs.libraries import main_metric

Row = dict[str, Any]
# What an evaluation logs beside its metrics.
_NO_METRICS = ('step', 'epoch', 'time', 'data_time')


@dataclass(frozen=True)
class TrainingLog:
    """The scalars of one training, also if it was interrupted and resumed.

    Attributes:
        train: A dict of scalars for each logged iteration, with the key ``step``.
        val: A dict of metrics for each evaluation; its ``step`` is the last
            iteration that was logged before it.
    """

    train: list[Row]
    val: list[Row]

    def series(self, key: str) -> tuple[list[int], list[float]]:
        """Return the iterations and the values of one scalar; empty if unknown."""
        rows = [row for row in self.train + self.val if key in row]
        return [row['step'] for row in rows], [row[key] for row in rows]

    def metrics(self) -> list[str]:
        """Return the names of all numbers that evaluations logged, in order."""
        found = (key for row in self.val for key in row if is_metric(key, row))
        return list(dict.fromkeys(found))

    def metric(self, name: str | None = None) -> str:
        """Return the name of the metric that tells how good the model is.

        One of those that the libraries' data sets are judged by, or else the first
        that was logged.

        Args:
            name: The one that is wanted, to check.

        Raises:
            ValueError: If the run was not evaluated, or without such a number.
        """
        found = self.metrics()
        if name is not None and found and name not in found:
            raise RefusedValueError(
                f'the log has no metric {name!r}. It has {", ".join(found)}.'
            )
        if found:
            return main_metric(found) if name is None else name
        raise RefusedValueError(
            'the log has no evaluation, or none that gave a number. Train with a '
            'val_evaluator.'
        )

    def last_epoch_mean(self, key: str) -> float:
        """Return the mean of a scalar over the logged iterations of the last epoch.

        Raises:
            ValueError: If it was not logged there.
        """
        epoch = self.train[-1].get('epoch')
        rows = [row for row in self.train if row.get('epoch') == epoch]
        values = [row[key] for row in rows if key in row]
        if not values:
            raise RefusedValueError(
                f'the log has no {key!r} in its last epoch. Log more often: '
                'default_hooks.logger.interval=1.'
            )
        return sum(values) / len(values)

    def not_finite_from(self) -> int | None:
        """Return the iteration from which the loss was no number to the end, if any."""
        steps, losses = self.series('loss')
        found = None
        for step, loss in zip(reversed(steps), reversed(losses), strict=True):
            if math.isfinite(loss):
                break
            found = step
        return found

    def is_evaluated(self) -> bool:
        """Tell whether an evaluation followed the last iteration."""
        return bool(self.val) and self.val[-1]['step'] == self.train[-1]['step']


def is_metric(key: str, row: Row) -> bool:
    """Tell whether a value of an evaluation is a metric, and a number."""
    return key not in _NO_METRICS and isinstance(row[key], (int, float))


def read_training_log(work_dir: Path) -> TrainingLog:
    """Read the newest training in a work directory.

    A resumed training has a folder for each part; each part replaces what earlier
    ones logged from its first iteration on.

    Args:
        work_dir: The ``--work-dir`` of the training, with a folder for each start.

    Raises:
        FileNotFoundError: If nothing was logged there.
    """
    train: list[Row] = []
    val: list[Row] = []
    for path in sorted(work_dir.glob('*/vis_data/scalars.json'), reverse=True):
        part = split_rows(read_rows(path))
        first = train[0]['step'] if train else None
        train = [r for r in part.train if first is None or r['step'] < first] + train
        val = [r for r in part.val if first is None or r['step'] < first] + val
    if not train:
        raise RefusedFileError(
            f'work_dir={str(work_dir)!r} has no */vis_data/scalars.json with the log '
            'of a training. Give the --work-dir of one.'
        )
    return TrainingLog(train, val)


def read_rows(path: Path) -> list[Row]:
    """Read one JSON object a line, up to a last line that was cut short."""
    rows = []
    for line in path.read_text(encoding='utf-8').splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def split_rows(rows: Sequence[Row]) -> TrainingLog:
    """Part iterations from evaluations, and date these by iterations.

    MMEngine dates an evaluation by the epoch if the loop counts epochs.
    """
    train: list[Row] = []
    val: list[Row] = []
    for row in rows:
        if 'iter' in row:
            train.append(row)
        else:
            val.append({**row, 'step': train[-1]['step'] if train else row['step']})
    return TrainingLog(train, val)
