"""Makes runs comparable: the same images in the same order, evaluated alike."""

from __future__ import annotations

import copy

from mmengine.config import Config

from dropblock_mm import runs

_NEEDED = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
_VALIDATION = ('val_dataloader', 'val_evaluator', 'val_cfg')


def make_comparable(cfg: Config, *, several_ranks: bool = False) -> Config:
    """Return a config whose runs differ by what they are to differ by, and no more.

    Pipelines draw apart from the model; the command test, which makes up for an
    evaluation that is missing, evaluates on what training evaluates on; one checkpoint
    is kept where the config does not say how many.

    Args:
        cfg (Config): Any config; it is not changed.
        several_ranks: Whether several processes train together.

    Raises:
        RefusedValueError: It does not train, or nothing is evaluated.
    """
    runs.require(cfg, *_NEEDED, *_VALIDATION)
    changed = copy.deepcopy(cfg)
    for key in ('dataloader', 'evaluator'):
        changed[f'test_{key}'] = copy.deepcopy(cfg[f'val_{key}'])
    changed.test_cfg = cfg.get('test_cfg') or {'type': 'TestLoop'}
    hooks = {**(cfg.get('default_hooks') or {})}
    hooks['same_data'] = {'type': 'dropblock_mm.SameDataHook'}
    saving = hooks.get('checkpoint', {'type': 'CheckpointHook', 'interval': 1})
    if saving:
        hooks['checkpoint'] = {'max_keep_ckpts': 1, **saving}
    changed.default_hooks = hooks
    if several_ranks:
        # Where ranks draw apart MMEngine seeds samplers otherwise: so all do or none.
        changed.randomness = {'diff_rank_seed': True, **(cfg.get('randomness') or {})}
    return changed
