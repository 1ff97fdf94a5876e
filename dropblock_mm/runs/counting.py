"""What counts epochs where the training counts iterations, and so never comes.

MMEngine's schedules and its checkpoint hook count epochs unless they are told
otherwise, and a loop of iterations has one (mmengine 0.10.7, ``IterBasedTrainLoop``):
a config that sets ``max_iters`` and no ``by_epoch=False`` trains at its first learning
rate from beginning to end, and saves when all is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mmengine.optim
from mmengine.config import Config

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.config_dicts import dicts_in
from dropblock_mm.runs.folders import warn
from dropblock_mm.runs.type_names import type_name

_BY_EVALUATION = 'ReduceOnPlateau'  # they take a step after each evaluation


def check_counting(cfg: Config) -> None:
    """Refuse schedules that would stand still; warn of a checkpoint at the end alone.

    Raises:
        RefusedValueError: One counts epochs, and ``train_cfg`` has ``max_iters``.
    """
    if 'max_iters' not in (cfg.get('train_cfg') or {}):
        return
    still = list(_standing_still(cfg.get('param_scheduler')))
    if still:
        raise RefusedValueError(
            f'{", ".join(still)}: counts epochs, and train_cfg.max_iters counts '
            'iterations: it would never take a step. Set by_epoch=False, and give '
            'begin, end and the like in iterations.'
        )
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    if hook and hook.get('by_epoch', True) and hook.get('interval', -1) > 0:
        warn(
            f'default_hooks.checkpoint.interval={hook["interval"]} counts epochs, and '
            'train_cfg.max_iters counts iterations: a checkpoint is saved at the end '
            'alone. Set default_hooks.checkpoint.by_epoch=False.'
        )


def _standing_still(schedules: Any) -> Iterator[str]:
    for prefix, part in dicts_in(schedules, 'param_scheduler.'):
        kind = type_name(part)
        if not kind.startswith(_BY_EVALUATION) and _counts_epochs(kind, part):
            yield f'{prefix}type={kind!r}'


def _counts_epochs(kind: str, part: Mapping[str, Any]) -> bool:
    # Of another library's schedule, what it does by default is not known.
    ours = bool(kind) and hasattr(mmengine.optim, kind)
    counts = part.get('by_epoch', ours)
    return bool(counts) and not part.get('convert_to_iter_based')
