"""Says which settings of the config a resumed run does not follow."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

# What advances while training goes on.
_COUNTED = {'last_step', 'verbose'}


class SayResumedSettings(Hook):
    """Warn where the config's schedules and optimizer are not the checkpoint's.

    MMEngine (0.10.7) builds both from the config and then loads their state, which has
    all settings in it: a run that is resumed with a longer ``T_max`` or another weight
    decay goes on with the old one, and says nothing. keep_prob follows the config.
    """

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: Mapping[str, Any]
    ) -> None:
        """Compare what is about to be loaded with what was built."""
        if not runner._resume:
            return
        found = [
            *_schedules(runner.param_schedulers, checkpoint.get('param_schedulers')),
            *_groups(runner.optim_wrapper, checkpoint.get('optimizer')),
        ]
        if found:
            runner.logger.warning(
                'resuming: MMEngine takes from the checkpoint what the config has '
                f'otherwise: {"; ".join(found)}. keep_prob follows the config. To '
                'train on with the new settings, take the weights alone: load_from in '
                'the place of --resume.'
            )


def _schedules(built: Any, saved: Any) -> Iterator[str]:
    if isinstance(built, Mapping) and isinstance(saved, Mapping):  # several optimizers
        for name in built:
            yield from _schedules(built[name], saved.get(name))
        return
    if not isinstance(built, list) or not isinstance(saved, list):
        return
    if len(built) != len(saved):
        yield f'param_scheduler has {len(saved)} schedules, not {len(built)}'
    for index, (schedule, state) in enumerate(zip(built, saved, strict=False)):
        for name in _arguments(type(schedule)) - _COUNTED:
            new, old = getattr(schedule, name, None), state.get(name)
            if name in state and new != old:
                yield f'param_scheduler.{index}.{name}={old!r}, not {new!r}'


def _arguments(kind: type) -> set[str]:
    """Names that a class and its bases are built with."""
    return {
        name
        for base in kind.__mro__
        if '__init__' in vars(base)
        for name in inspect.signature(vars(base)['__init__']).parameters
    }


def _groups(wrapper: Any, saved: Any) -> Iterator[str]:
    if not isinstance(saved, Mapping) or 'param_groups' not in saved:
        return
    for name, said in (('initial_lr', 'lr'), ('weight_decay', 'weight_decay')):
        pairs = zip(wrapper.param_groups, saved['param_groups'], strict=False)
        changed = [(b[name], s[name]) for b, s in pairs if name in b and name in s]
        for new, old in changed:
            if new != old:
                yield f'optimizer.{said}={old!r}, not {new!r}'
                break
