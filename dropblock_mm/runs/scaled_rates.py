"""Learning rates that follow the size of a batch.

MMEngine (0.10.7, ``Runner.scale_lr``) multiplies the rates of the optimizer by the
images of an iteration over ``auto_scale_lr.base_batch_size``, and nothing else: rates
that a schedule has itself stay, and accumulation is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.config_dicts import dicts_in
from dropblock_mm.runs.cpu_ranks import count_ranks
from dropblock_mm.runs.folders import warn
from dropblock_mm.runs.type_names import type_name


def settle_auto_scale_lr(cfg: Config, *, asked: bool) -> None:
    """Scale the learning rate by the batch size, if the user or the config says so.

    Args:
        cfg (Config): Gets ``auto_scale_lr.enable=True`` if that was asked for.
        asked (bool): Whether by ``--auto-scale-lr``.

    Raises:
        RefusedValueError: The config does not say for which batch size its rate is,
            or a schedule of it sets the rate.
    """
    scaling = cfg.get('auto_scale_lr')
    if scaling and not isinstance(scaling, Mapping):
        raise RefusedValueError(
            f'auto_scale_lr={scaling!r} is no dict. Give dict(base_batch_size=16), and '
            'enable=True in it to scale without --auto-scale-lr; on the command line '
            '--cfg-options auto_scale_lr.base_batch_size=16 auto_scale_lr.enable=True.'
        )
    if not asked and not (scaling or {}).get('enable'):
        return
    name = '--auto-scale-lr' if asked else 'auto_scale_lr.enable=True'
    _check_base(scaling, name)
    for key, part in _rates_in(cfg, 'OneCycleLR'):
        raise RefusedValueError(
            f'{name} changes nothing: {key}eta_max={part.get("eta_max")!r} of '
            "OneCycleLR is the learning rate, whatever the optimizer's is. Leave it "
            'out and give another eta_max.'
        )
    _warn_of_accumulation(cfg, name)
    _warn_of_rates_that_rise(cfg, name)
    scaling.enable = True


def _check_base(scaling: Any, name: str) -> None:
    base = (scaling or {}).get('base_batch_size')
    if not base:
        raise RefusedValueError(
            f'{name} needs auto_scale_lr.base_batch_size, the batch size that the '
            f'learning rate is for; the config has auto_scale_lr={scaling!r}. Add '
            '--cfg-options auto_scale_lr.base_batch_size=16, or leave it out.'
        )
    if _number(base) <= 0:
        raise RefusedValueError(
            f'auto_scale_lr.base_batch_size={base!r} is no number of images. Give the '
            'batch size that the learning rate is for, such as 16.'
        )


def _number(base: Any) -> float:
    """As MMEngine reads it, which takes text of a number too; 0 of all else."""
    try:
        return 0 if isinstance(base, bool) else float(base)
    except (TypeError, ValueError):
        return 0


def _rates_in(cfg: Config, *kinds: str) -> Iterator[tuple[str, Any]]:
    """Yield the schedules of the learning rate; of these kinds, if some are given."""
    for key, part in dicts_in(cfg.get('param_scheduler'), 'param_scheduler.'):
        kind = type_name(part)
        if kind in kinds or (not kinds and kind.endswith('LR')):
            yield key, part


def _warn_of_accumulation(cfg: Config, name: str) -> None:
    steps = (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    if steps != 1:
        warn(
            f'{name}: with optim_wrapper.accumulative_counts={steps} a step is one of '
            f'{steps} times the images of an iteration, which alone are compared with '
            f'auto_scale_lr.base_batch_size={cfg.auto_scale_lr.base_batch_size}. '
            f'Divide that by {steps} to count them all.'
        )


def _warn_of_rates_that_rise(cfg: Config, name: str) -> None:
    """Warn of a least rate that is above the greatest, once that is scaled."""
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    images = (cfg.get('train_dataloader') or {}).get('batch_size')
    rate = optimizer.get('lr')
    if not isinstance(images, int) or not isinstance(rate, (int, float)):
        return
    base = _number(cfg.auto_scale_lr.base_batch_size)
    ratio = images * count_ranks(cfg.get('launcher', 'none')) / base
    for key, part in _rates_in(cfg):
        least = part.get('eta_min')
        if isinstance(least, (int, float)) and rate * ratio < least <= rate:
            warn(
                f'{name} scales optim_wrapper.optimizer.lr={rate} to '
                f'{rate * ratio:.3g}, and leaves {key}eta_min={least}: the rate of '
                f'{type_name(part)} rises from the one to the other. Scale both: '
                f'{key}eta_min={least * ratio:.3g}.'
            )
