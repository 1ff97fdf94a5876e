"""Times a training step of a run as it will be trained: its data, its launcher."""

from __future__ import annotations

import copy
import os
import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.config import Config

from dropblock_mm.errors import RefusedStateError
from dropblock_mm.reproduction.commands import Launcher, train_command
from dropblock_mm.reproduction.plan import Run, write_config
from dropblock_mm.reproduction.processes import run_command, tail
from dropblock_mm.runs.training_log import read_training_log

STEPS = 20
WARM_UP = 5  # steps that are not counted


@dataclass(frozen=True)
class Measured:
    """What a trial gave.

    Args:
        seconds: Median time of a step, loading included.
        steps: How many were counted.
    """

    seconds: float
    steps: int


def trial_config(cfg: Config) -> Config:
    """Return a config of a few steps that saves and evaluates nothing."""
    short = copy.deepcopy(cfg)
    short.train_cfg = {'type': 'IterBasedTrainLoop', 'max_iters': STEPS}
    for loop in ('val', 'test'):
        for key in ('cfg', 'dataloader', 'evaluator'):
            short[f'{loop}_{key}'] = None
    short.param_scheduler = None
    never = {'interval': 10**9, 'save_last': False, 'by_epoch': False}
    short.default_hooks = {
        **(cfg.get('default_hooks') or {}),
        'logger': {'type': 'LoggerHook', 'interval': 1},
        'checkpoint': {'type': 'CheckpointHook', **never},
    }
    short.log_processor = {'type': 'LogProcessor', 'window_size': 1, 'by_epoch': False}
    return short


def measure_step(run: Run, launcher: Launcher) -> Measured:
    """Train a few steps of a run in a folder that is removed.

    Raises:
        RefusedStateError: They failed; with the end of the output.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trial = replace(
            run,
            cfg=trial_config(run.cfg),
            config=folder / 'trial.py',
            work_dir=folder / 'trial',
            on_training=None,
        )
        write_config(trial)
        log = folder / 'output.log'
        command = train_command(trial, launcher, resume=False)
        with log.open('w') as held:
            status = run_command(
                command, log, launcher.environment(), os.dup(held.fileno())
            )
        if status:
            raise RefusedStateError(
                f'the trial of {STEPS} steps ended with status {status}:\n{tail(log)}'
            )
        _, times = read_training_log(trial.work_dir).series('time')
    counted = times[WARM_UP:]
    return Measured(statistics.median(counted), len(counted))
