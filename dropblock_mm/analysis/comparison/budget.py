"""What can be compared within some hours, from a step that was timed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from dropblock_mm.reproduction.state import training_length
from dropblock_mm.reproduction.trial import Measured
from dropblock_mm.tables_md import markdown_table

SEEDS = (3, 5, 10)
FORWARD = 1 / 3  # of a training step, which computes backwards too
FEWEST_SEEDS = 3  # an interval from two differences is of no use


@dataclass(frozen=True)
class Cost:
    """What a run takes.

    Args:
        step: Seconds of a training step.
        steps: In an epoch; 1 where the config counts iterations.
        length: Epochs, or iterations, of the config.
        unit: 'epochs' or 'iterations'.
        evaluation: Seconds of evaluation for an epoch or iteration, estimated.
    """

    step: float
    steps: int
    length: int
    unit: str
    evaluation: float

    @property
    def seconds(self) -> float:
        """Of an epoch, or iteration, with its share of evaluation."""
        return self.step * self.steps + self.evaluation


def cost_of(cfg: Config, measured: Measured, gpus: int) -> Cost:
    """Count the steps of a config.

    Args:
        cfg (Config): Its library is prepared.
        measured: A step of it.
        gpus: Processes that train together.
    """
    if cfg.get('default_scope'):
        init_default_scope(cfg.default_scope)
    batch = int(cfg.train_dataloader.batch_size) * gpus
    images = len(DATASETS.build(cfg.train_dataloader.dataset))
    validated = len(DATASETS.build(cfg.val_dataloader.dataset))
    by_epoch = bool(cfg.train_cfg.get('max_epochs'))
    every = int(cfg.train_cfg.get('val_interval') or 1)
    forward = measured.seconds / batch * FORWARD
    return Cost(
        measured.seconds,
        math.ceil(images / batch) if by_epoch else 1,
        training_length(cfg),
        'epochs' if by_epoch else 'iterations',
        validated * forward / every,
    )


def affordable(cost: Cost, hours: float, arms: int, seeds: int, at_once: int) -> int:
    """Return how many epochs, or iterations, fit; at most those of the config."""
    runs = arms * seeds
    rounds = math.ceil(runs / at_once)
    return min(cost.length, int(hours * 3600 / (rounds * cost.seconds)))


def proposal(cost: Cost, hours: float, arms: int, at_once: int) -> tuple[int, int]:
    """Return the length and the number of seeds to be preferred.

    The whole length comes first, since DropBlock pays off late, then seeds: at least
    three, at most ten.
    """
    for seeds in range(max(SEEDS), FEWEST_SEEDS, -1):
        if affordable(cost, hours, arms, seeds, at_once) >= cost.length:
            return cost.length, seeds
    return affordable(cost, hours, arms, FEWEST_SEEDS, at_once), FEWEST_SEEDS


def proposal_text(cost: Cost, hours: float, arms: int, at_once: int) -> str:
    """Say what fits the budget."""
    lines = []
    for seeds in SEEDS:
        length = affordable(cost, hours, arms, seeds, at_once)
        needed = math.ceil(arms * seeds / at_once) * length * cost.seconds / 3600
        fits = [str(length), f'{needed:.2f}'] if length else ['none fits', '']
        lines.append([str(seeds), *fits])
    length, seeds = proposal(cost, hours, arms, at_once)
    head = (
        f'A step takes {cost.step:.3g} s; {cost.unit[:-1]}: {cost.seconds:.3g} s with '
        f'evaluation, of which {cost.evaluation:.2g} s is an estimate. '
        f'{arms} arms, {hours:g} hours:'
    )
    table = markdown_table(['seeds', cost.unit, 'hours'], lines)
    if not length:
        return f'{head}\n\n{table}\n\nNot even three seeds of one {cost.unit[:-1]} fit.'
    option = (
        f'--epochs {length}'
        if cost.unit == 'epochs'
        else f'--cfg-options train_cfg.max_iters={length}'
    )
    words = '' if length == cost.length else f' {option}'
    given = ' '.join(map(str, range(seeds)))
    return f'{head}\n\n{table}\n\nProposed: --seeds {given}{words}'
