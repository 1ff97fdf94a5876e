"""What a run's folder tells: config, log, checkpoints, machine; and what it lacks."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropblock_mm.analysis.html_report.written_config import (
    data_name,
    facts_of,
    part,
    read_written_config,
)
from dropblock_mm.errors import RefusedError
from dropblock_mm.runs.checkpoints.whole_files import megabytes
from dropblock_mm.runs.training_log import TrainingLog, read_rows, read_training_log

ATTEMPTS = 'attempts.json'
_LOG_HEAD = 200_000  # bytes: a log begins with the machine
_ENVIRONMENT = re.compile(
    r'^ {4}((?:sys\.platform|Python|CUDA available|GPU [\d,]+|PyTorch|TorchVision|'
    r'OpenCV|MMEngine|seed|GPU number|Distributed training)): (.*)$',
    re.MULTILINE,
)


@dataclass
class RunFolder:
    """A run, as far as its folder tells.

    Args:
        path: The folder.
        name: What it is called on the page.
        config: What it was trained with.
        log: What it logged; None without a log.
        facts: For the page, by name.
        missing: Sentences: what is not there, or cannot be read.
        environment: Software and machine.
        commands: What was typed.
    """

    path: Path
    name: str
    config: dict[str, Any] = field(default_factory=dict)
    log: TrainingLog | None = None
    facts: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    @property
    def metric(self) -> str | None:
        """The name of the metric that it is judged by; None if not evaluated."""
        try:
            return self.log.metric() if self.log else None
        except RefusedError:
            return None

    @property
    def data(self) -> str:
        """What it is evaluated on, as far as its config tells."""
        loader = part(self.config, 'val_dataloader') or part(
            self.config, 'test_dataloader'
        )
        return data_name(loader) if loader else self.facts.get('data', '')

    @property
    def values(self) -> list[float]:
        """The metric after each evaluation."""
        return self.log.series(self.metric)[1] if self.log and self.metric else []

    @property
    def keep_rate(self) -> float | None:
        """The share of units kept in the last epoch; None without DropBlock."""
        try:
            found = self.log.last_epoch_mean('effective_keep_rate') if self.log else 0
            return found if self.log else None
        except RefusedError:
            return None


def is_run(folder: Path) -> bool:
    """Tell whether a training was started in a folder."""
    return any(folder.glob('*/vis_data')) or (folder / 'last_checkpoint').is_file()


def read_run(folder: Path, name: str) -> RunFolder:
    """Read what is there, and note what is not.

    Args:
        folder: The ``--work-dir`` of a training.
        name: What to call it.
    """
    run = RunFolder(folder, name)
    _read_config(run)
    _read_log(run)
    _read_checkpoints(run)
    _read_environment(run)
    _read_commands(run)
    return run


def config_files(folder: Path) -> list[Path]:
    """Return what MMEngine dumped of a run's config, the newest first."""
    found = [*folder.glob('*.py'), *folder.glob('*/vis_data/config.py')]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _read_config(run: RunFolder) -> None:
    files = config_files(run.path)
    if not files:
        run.missing.append('No config (*.py): it is not known what was trained.')
    for path in files:
        try:
            run.config = read_written_config(path)
        except RefusedError as error:
            run.missing.append(_sentence(error))
            continue
        run.facts = {'config': path.name, **facts_of(run.config)}
        return


def _read_log(run: RunFolder) -> None:
    try:
        run.log = read_training_log(run.path)
    except RefusedError:
        run.missing.append('No log (*/vis_data/scalars.json): no curves, no numbers.')
        return
    except Exception as error:  # whatever stands in a file that something else wrote
        run.missing.append(f'The log cannot be read ({type(error).__name__}: {error}).')
        return
    for path in run.path.glob('*/vis_data/scalars.json'):
        if len(read_rows(path)) < len(path.read_text(encoding='utf-8').splitlines()):
            run.missing.append(f'The log {path.parent.parent.name} is cut short.')
    if run.metric is None:
        run.missing.append('No evaluation in the log: no metric.')
    _compare_with_length(run, run.log)
    if run.keep_rate is not None:
        run.facts['units kept in the last epoch'] = f'{run.keep_rate:.4f}'
    if run.metric:
        best, last = max(run.values), run.values[-1]
        run.facts[run.metric] = f'{last:.4g} at the end, {best:.4g} at best'


def _compare_with_length(run: RunFolder, log: TrainingLog) -> None:
    loop, last = part(run.config, 'train_cfg'), log.train[-1]
    for key, unit, done in (
        ('max_epochs', 'epochs', last.get('epoch')),
        ('max_iters', 'iterations', last.get('step')),
    ):
        wanted = loop.get(key)
        if isinstance(wanted, int) and isinstance(done, int):
            run.facts['trained'] = f'{done:,} of {wanted:,} {unit}'
            if done < wanted:
                run.missing.append(
                    f'The training is not finished: {done:,} of {wanted:,} {unit}.'
                )
            elif run.metric and not log.is_evaluated():
                run.missing.append('The last evaluation is missing.')
            return


def _read_checkpoints(run: RunFolder) -> None:
    files = sorted(run.path.glob('*.pth'), key=lambda path: path.stat().st_mtime)
    if not files:
        run.missing.append('No checkpoint (*.pth): nothing to predict with.')
        return
    damaged = [path.name for path in files if not zipfile.is_zipfile(path)]
    if damaged:
        run.missing.append(f'Damaged or cut short: {", ".join(damaged)}.')
    newest = files[-1]
    run.facts['checkpoint'] = f'{newest.name}, {megabytes(newest.stat().st_size)}'


def _read_environment(run: RunFolder) -> None:
    for path in sorted(run.path.glob('*/*.log'), reverse=True):
        with path.open(encoding='utf-8', errors='replace') as file:
            head = file.read(_LOG_HEAD)
        run.environment = {k: v.strip()[:200] for k, v in _ENVIRONMENT.findall(head)}
        if run.environment:
            return
    run.missing.append('No log of the machine (*/*.log): the environment is not known.')


def _read_commands(run: RunFolder) -> None:
    path = run.path / ATTEMPTS
    if not path.is_file():
        return
    try:
        notes = json.loads(path.read_text(encoding='utf-8'))
        run.commands = list(dict.fromkeys(str(note['command']) for note in notes))
        run.facts['commit'] = str(notes[-1]['commit'])
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        run.missing.append(f'{ATTEMPTS} cannot be read: {type(error).__name__}.')


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
