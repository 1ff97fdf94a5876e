"""Makes a run of any config small enough for a test: few and small images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from dropblock_mm import resolve_config
from dropblock_mm.analysis.sites.stock_models import without

SIDE = 160


def small(name: str | Path, root: str | Path, images: int = 10) -> Config:
    """Return a config for two epochs on some small images, without evaluation.

    The model, the pipeline and the hooks stay as they are, but for sizes of images,
    weights that would be downloaded, synchronized norms and mixed precision, which
    need several processes or a GPU.

    Args:
        name: A path or 'package::path'.
        root: Folder of the data, laid out as the config expects it.
        images: Number of images, with two in a batch. A config that counts iterations
            trains as many of them.
    """
    cfg = Config.fromfile(resolve_config(str(name))).to_dict()
    cfg['model'] = fewer_regions(without(cfg['model'], ('init_cfg', 'pretrained')))
    cfg['model']['data_preprocessor'] = shrink(cfg['model']['data_preprocessor'])
    cfg['train_dataloader'] = _loader(cfg['train_dataloader'], f'{root}/', images)
    if cfg['train_cfg'].get('type') == 'IterBasedTrainLoop':
        cfg['train_cfg'] = {'type': 'IterBasedTrainLoop', 'max_iters': images}
    else:
        cfg['train_cfg'] = {'type': 'EpochBasedTrainLoop', 'max_epochs': 2}
    for loop in ('val', 'test'):
        for key in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{loop}_{key}'] = None
    for hook in cfg.get('custom_hooks') or []:
        _switch_early(hook)
    if cfg['optim_wrapper'].get('type') == 'AmpOptimWrapper':
        cfg['optim_wrapper']['type'] = 'OptimWrapper'
        cfg['optim_wrapper'].pop('loss_scale', None)
    cfg['default_hooks'] |= {
        'logger': {'type': 'LoggerHook', 'interval': 1},
        'checkpoint': {'type': 'CheckpointHook', 'interval': 1000, 'save_last': False},
    }
    return Config(cfg | {'randomness': {'seed': 0}, 'auto_scale_lr': None})


def shrink(value: Any) -> Any:
    """Turn every size of images in a config, such as (640, 640), into a small one."""
    if isinstance(value, dict):
        return {key: shrink(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        sizes = [v for v in value if type(v) is int]
        if len(value) == len(sizes) == 2 and min(sizes) >= 200:
            return (SIDE, SIDE)
        return type(value)(shrink(child) for child in value)
    return value


def fewer_regions(value: Any) -> Any:
    """Sample 16 regions of an image instead of some hundreds."""
    if isinstance(value, dict):
        found = {key: fewer_regions(child) for key, child in value.items()}
        return found | {'num': 16} if 'pos_fraction' in value else found
    return [fewer_regions(v) for v in value] if isinstance(value, list) else value


def _loader(loader: dict[str, Any], root: str, images: int) -> dict[str, Any]:
    found: dict[str, Any] = _rooted(shrink(loader), root, images)
    if 'datasets' in found['dataset']:
        found['dataset'] = found['dataset']['datasets'][0]
    return found | {'batch_size': 2, 'num_workers': 0, 'persistent_workers': False}


def _rooted(value: Any, root: str, images: int) -> Any:
    """Point every data set at ``root``, and let it have some images, once."""
    if isinstance(value, list):
        return [_rooted(child, root, images) for child in value]
    if not isinstance(value, dict):
        return value
    found = {key: _rooted(child, root, images) for key, child in value.items()}
    if 'times' in value:
        found['times'] = 1
    if 'data_root' in value:
        found |= {'data_root': root, 'indices': images}
    return found


def _switch_early(hook: dict[str, Any]) -> None:
    """Let what happens in the last epochs happen in the second one."""
    hook |= {key: 1 for key in ('switch_epoch', 'num_last_epochs') if key in hook}
    hook |= shrink({k: v for k, v in hook.items() if k == 'switch_pipeline'})
