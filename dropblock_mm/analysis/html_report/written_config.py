"""Reads the configs that MMEngine writes into a run's folder, without running them.

What a run dumps is assignments of plain values. A report may be made of a folder from
anywhere, so nothing in it is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropblock_mm.errors import RefusedValueError


def read_written_config(path: Path) -> dict[str, Any]:
    """Read a dumped config.

    Args:
        path: A file of assignments of literals and of ``dict(...)``.

    Returns:
        dict: Values by name; those that are no literals are left out.

    Raises:
        RefusedValueError: It is cut short, or not Python.
    """
    try:
        tree = ast.parse(path.read_text(encoding='utf-8'))
    except (OSError, SyntaxError, ValueError) as error:
        raise RefusedValueError(
            f'the config {path.name} cannot be read: {error}.'
        ) from error
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = _value(node.value)
            except (ValueError, TypeError):
                continue
    return found


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        is_dict = isinstance(node.func, ast.Name) and node.func.id == 'dict'
        if not is_dict:
            raise ValueError('a call')
        # Keys that are no names come as dict({'a key': value}).
        found: dict[Any, Any] = {}
        for given in (*node.args, *(k.value for k in node.keywords if not k.arg)):
            found |= dict(_value(given))
        return found | {k.arg: _value(k.value) for k in node.keywords if k.arg}
    if isinstance(node, ast.List):
        return [_value(part) for part in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(part) for part in node.elts)
    if isinstance(node, ast.Dict):
        keys = [_value(k) if k is not None else None for k in node.keys]
        return dict(zip(keys, map(_value, node.values), strict=True))
    return ast.literal_eval(node)


def part(config: Any, *keys: str) -> Mapping[str, Any]:
    """Return a dict inside a config; an empty one where there is none."""
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config if isinstance(config, Mapping) else {}


def kind(config: Any) -> str:
    """Return the bare name of a part's ``type``, '' without one."""
    name = part({'part': config}, 'part').get('type', '')
    return str(name).rpartition('.')[2]


def facts_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Say what a config trains, on what and how long, as far as it tells."""
    loader, loop = part(config, 'train_dataloader'), part(config, 'train_cfg')
    optimizer = part(config, 'optim_wrapper', 'optimizer')
    seed = part(config, 'randomness').get('seed')
    length = (
        f'{loop["max_epochs"]} epochs'
        if loop.get('max_epochs')
        else f'{loop["max_iters"]:,} iterations'
        if isinstance(loop.get('max_iters'), int)
        else ''
    )
    rate = f' at {optimizer["lr"]:g}' if _is_number(optimizer.get('lr')) else ''
    facts = {
        'library': str(config.get('default_scope') or ''),
        'model': model_name(config),
        'data': data_name(loader),
        'batch size': str(loader.get('batch_size') or ''),
        'length': length,
        'optimizer': f'{kind(optimizer)}{rate}' if optimizer else '',
        'seed': '' if seed is None else str(seed),
        'DropBlock': drop_block_of(config),
    }
    return {name: value for name, value in facts.items() if value}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def model_name(config: Mapping[str, Any]) -> str:
    """Name a model and its backbone, as 'RetinaNet, ResNet-18'."""
    model = part(config, 'model')
    if kind(model) == 'ChannelsLast':  # as a runner logs what channels_last=True says
        model = part(model, 'model')
    backbone = part(model, 'backbone')
    depth = f'-{backbone["depth"]}' if backbone.get('depth') else ''
    names = [kind(model), kind(backbone) + depth, kind(model.get('decode_head'))]
    return ', '.join(name for name in names if name)


def data_name(loader: Mapping[str, Any]) -> str:
    """Name a data set and its folder, the innermost where some wrap others."""
    dataset = part(loader, 'dataset')
    while True:
        several = dataset.get('datasets')
        first = several[0] if isinstance(several, (list, tuple)) and several else {}
        inner = part(dataset, 'dataset') or part({'first': first}, 'first')
        if not inner:
            break
        dataset = inner
    folder = str(dataset.get('data_root') or '')
    return f'{kind(dataset)} in {folder}' if folder else kind(dataset)


def drop_block_of(config: Mapping[str, Any]) -> str:
    """Say what is dropped and where, from the hooks of this package."""
    hooks = config.get('custom_hooks')
    hooks = hooks if isinstance(hooks, (list, tuple)) else []
    told = []
    for hook in hooks:
        if 'Injection' in kind(hook):
            told.append(_injection(part({'hook': hook}, 'hook')))
        elif kind(hook) == 'KeepProbScheduleHook':
            how = hook.get('schedule', 'linear')
            told.append(f'keep_prob to {hook.get("keep_prob")} ({how})')
    return '; '.join(told) or 'none'


def _injection(hook: Mapping[str, Any]) -> str:
    targets = hook.get('targets')
    targets = targets if isinstance(targets, (list, tuple)) else []
    modules = [str(part({'t': t}, 't').get('module', '?')) for t in targets]
    kept = {k: v for k, v in hook.items() if k not in ('type', 'targets')}
    options = ', '.join(f'{name} {value}' for name, value in kept.items())
    layer = 'DropBlock' if kind(hook).startswith('DropBlock') else 'DropBlock2d'
    method = str(kept.pop('layer', layer))
    return f'{method} in {", ".join(modules)}' + (f' ({options})' if options else '')
