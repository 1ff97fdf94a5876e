"""How far a run has come, read from the files that it left."""

from __future__ import annotations

import enum
import json
import statistics
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from dropblock_mm.reproduction.image_folders import always_right
from dropblock_mm.reproduction.plan import Run
from dropblock_mm.reproduction.tables import Metric
from dropblock_mm.runs.checkpoints.resume import latest_checkpoint
from dropblock_mm.runs.hooks.same_data_hook import SEEN
from dropblock_mm.runs.libraries import percent
from dropblock_mm.runs.training_log import is_metric, read_rows, read_training_log

EVALUATION = 'evaluation'  # folder of the command test, in the run's


class State(enum.Enum):
    """How far a run has come."""

    NEW = 'not started'
    INTERRUPTED = 'interrupted'
    TRAINED = 'not evaluated'
    EVALUATED = 'not evaluated on training images'
    FINISHED = 'finished'


@dataclass(frozen=True)
class Progress:
    """A run's state and, once it is finished, its numbers.

    Args:
        state: FINISHED takes a whole final checkpoint and a recorded evaluation, and
            one on training images where the run has that.
        checkpoint: The latest.
        metrics: In percent, by the metrics' titles; by the evaluation's keys where no
            metrics were asked for.
        keep_rate: Share of units that DropBlock kept, mean over the last epoch; None
            without DropBlock.
        on_training: As ``metrics``, of training images.
        seen: Checksums of the images that were trained on; see ``SameDataHook``.
        seconds: Median time of an iteration, as it was logged.
        diverged: The logged iteration from which the loss was no number, to the end.
    """

    state: State
    checkpoint: Path | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    keep_rate: float | None = None
    on_training: dict[str, float] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    diverged: int | None = None

    @property
    def problem(self) -> str:
        """What makes a finished run's numbers worth nothing; '' if nothing does."""
        at = self.diverged
        return '' if at is None else f'the loss is not finite from iteration {at} on'


@dataclass(frozen=True)
class Saved:
    """What a checkpoint says of its training.

    Args:
        length: Epochs, or iterations, after which it was saved.
        seen: Checksums of the images until then.
    """

    length: int
    seen: dict[str, Any]


def inspect_run(run: Run, metrics: tuple[Metric, ...]) -> Progress:
    """Tell how far a run has come.

    Args:
        run: The run.
        metrics: What an evaluation has to give; any number will do if there are none.
    """
    named = latest_checkpoint(str(run.work_dir)) if run.work_dir.is_dir() else None
    if named is None:
        return Progress(State.NEW)
    checkpoint = Path(named)
    saved = read_progress(checkpoint, run.cfg)
    if saved is None or saved.length != training_length(run.cfg):
        return Progress(State.INTERRUPTED, checkpoint)
    later = later_evaluation(run.work_dir / EVALUATION)
    for last in (logged_evaluation(run), later):
        numbers = numbers_of(best_of(run, last), metrics)
        if numbers:
            break
    else:
        return Progress(State.TRAINED, checkpoint)
    gap = numbers_of(later_evaluation(run.work_dir_on_training), metrics)
    done = gap or run.on_training is None
    return Progress(
        State.FINISHED if done else State.EVALUATED,
        checkpoint,
        numbers,
        on_training=gap,
        seen=saved.seen,
        **logged_rates(run),
    )


def numbers_of(logged: dict[str, Any], metrics: tuple[Metric, ...]) -> dict[str, float]:
    """Return the metrics of an evaluation, in percent; {} if some are missing."""
    if metrics:
        found = all(metric.key in logged for metric in metrics)
        return {m.title: m.scale * logged[m.key] for m in metrics} if found else {}
    return {key: percent(key) * logged[key] for key in logged if is_metric(key, logged)}


def training_length(cfg: Config) -> int:
    """Return the epochs, or else the iterations, of a training."""
    return cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters


def read_progress(checkpoint: Path, cfg: Config) -> Saved | None:
    """Return what a checkpoint says of its training.

    Returns:
        None for a file that is missing, cut short or damaged.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            if archive.testzip() is not None:
                return None
        content = torch.load(checkpoint, map_location='meta', weights_only=True)
        unit = 'epoch' if cfg.train_cfg.get('max_epochs') else 'iter'
        info = content['message_hub'].get('runtime_info') or {}
        return Saved(content['meta'][unit], info.get(SEEN) or {})
    except Exception:  # a damaged file can fail anywhere in the readers
        return None


def logged_evaluation(run: Run) -> dict[str, Any]:
    """Return what training logged when it evaluated its last epoch, or {}."""
    length = training_length(run.cfg)
    return next((row for row in evaluations(run) if row.get('step') == length), {})


def best_of(run: Run, last: dict[str, Any]) -> dict[str, Any]:
    """Return a training's best evaluation, if that is what its row asks for.

    Args:
        run: The run.
        last: Its last evaluation, or {}.
    """
    key = run.row.best
    last = {**always_right(run.cfg), **last} if last else last
    if not key or key not in last:
        return last
    others = [{**last, **row} for row in evaluations(run) if key in row]
    return max([last, *others], key=lambda row: row[key])


def evaluations(run: Run) -> Iterator[dict[str, Any]]:
    """Yield what training logged of each evaluation, the newest first."""
    for path in sorted(run.work_dir.glob('*/vis_data/scalars.json'), reverse=True):
        for row in reversed(read_rows(path)):
            if 'iter' not in row:  # MMEngine dates an evaluation by the epoch
                yield row


def first_evaluation(run: Run) -> dict[str, Any]:
    """Return what training logged when it first evaluated, or {}."""
    for path in sorted(run.work_dir.glob('*/vis_data/scalars.json')):
        for row in read_rows(path):
            if 'iter' not in row:
                return row
    return {}


def logged_rates(run: Run) -> dict[str, Any]:
    """Return the last epoch's keep rate, an iteration's time and where it diverged."""
    try:
        log = read_training_log(run.work_dir)
    except (FileNotFoundError, ValueError):
        return {}
    _, times = log.series('time')
    seconds = statistics.median(times) if times else None
    found = {'seconds': seconds, 'diverged': log.not_finite_from()}
    try:
        kept = log.last_epoch_mean('effective_keep_rate')
    except ValueError:
        return found
    return {**found, 'keep_rate': kept}


def later_evaluation(folder: Path) -> dict[str, Any]:
    """Return what the newest run of the command test wrote, or {}."""
    for path in sorted(folder.glob('*/*.json'), reverse=True):
        try:
            return json.loads(path.read_text(encoding='utf-8'))
        except ValueError:
            continue
    return {}
