"""Targets that are found by looking at the model: the paper's rule for any network.

The paper drops blocks in the last two of a ResNet's four groups, in the earlier one at
a quarter of gamma (sections 3 and 4.1.1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import nn

from dropblock_mm.injection.adapters.blocks import is_conv, is_norm
from dropblock_mm.injection.places import parts_of
from dropblock_mm.injection.targets import (
    AUTO,
    SCALES,
    Defaults,
    Target,
    checked_layer,
    options_of,
    parse_targets,
)
from dropblock_mm.injection.walk import above, child_path, named_modules, walk
from dropblock_mm.layers import ScheduledDrop

EARLIER = 0.25  # factor on gamma in the last stage but one
# Networks number their stages up to six or so; what has more numbers its blocks.
MOST_STAGES = 6
MOST = 0.75  # share of the places from which on a part is the network itself


def targets_in(model: nn.Module, targets: Any, shared: Defaults) -> list[Target]:
    """Return a model's targets: those that were written, or found for 'auto'.

    Args:
        model: A built model.
        targets: What the user gave.
        shared: What holds for targets that say nothing else.

    Raises:
        TypeError: If something has a wrong type or an unknown key.
        ValueError: If there is no target or a value is outside its range.
    """
    if targets == AUTO:
        targets = auto_targets(model, checked_layer(shared.layer, 'layer'))
    return parse_targets(targets, shared)


def auto_targets(model: nn.Module, layer: type[ScheduledDrop]) -> list[dict[str, Any]]:
    """Return targets for the last two stages of a model's backbone.

    Stages are parts that have the same name and a number (``layer1`` to ``layer4``,
    ``stages.0``), or else the parts between two halvings of the maps.

    Args:
        model: A model with a ``backbone``, or a network.
        layer: What is to be attached, whose drop rate is scaled.

    Returns:
        list[dict]: As a user would write them, for two stages or one. The backbone as
        a whole if it has no site.
    """
    stages = [stage for stage in _stages(model) if stage]
    scale = next((name for name in SCALES if name in options_of(layer)), None)
    earlier = {scale: EARLIER} if scale else {}
    found: list[dict[str, Any]] = [{'module': _named(stage)} for stage in stages[-2:]]
    if found[1:]:
        found[0].update(earlier)
    return found or [{'module': _root(model)[0]}]


def in_words(targets: Sequence[Target]) -> str:
    """Say what 'auto' took."""
    taken = ' and '.join(target.module + _scaled(target) for target in targets)
    whole = 'where no two stages were found. This'
    last = (
        'the last two stages, as the paper does in a ResNet. For another network this'
    )
    return (
        f"targets='{AUTO}' took {taken}, {last if targets[1:] else whole} is untried; "
        'give targets for other choices'
    )


def _scaled(target: Target) -> str:
    scales = {k: v for k, v in target.options.items() if k in SCALES and v != 1}
    return ''.join(f' ({name} {value:g})' for name, value in scales.items())


def _named(paths: Sequence[str]) -> str:
    """Return one name for modules: a path, or a regular expression."""
    if len(paths) == 1:
        return paths[0]
    above_all, dot, _ = paths[0].rpartition('.')
    last = [path.rpartition('.')[2] for path in paths]
    stems = {name[:-1] for name in last}
    if len(stems) == 1 and all(name[-1].isdigit() for name in last):  # layer[45]
        ends = ''.join(name[-1] for name in last)
        return f'{re.escape(above_all + dot + stems.pop())}[{ends}]'
    names = '|'.join(map(re.escape, last))
    return f'{re.escape(above_all + dot)}({names})'


def _root(model: nn.Module) -> tuple[str, nn.Module]:
    """Return the backbone and its path: below wrappers, or the model itself."""
    named = dict(named_modules(model))
    found = {n: m for n, m in named.items() if n.split('.')[-1] in ('backbone', '')}
    path = min((name for name in found if name), default='', key=len)
    return path, found[path]


def _stages(model: nn.Module) -> list[list[str]]:
    """Return the modules of each stage that have sites, in order."""
    path, network = _root(model)
    counts = _counts(model)
    parts = _below(path, network)
    while parts and not _numbered(parts, counts):
        name, part = max(parts, key=lambda pair: counts[pair[0]])
        inner = _below(name, part)
        is_block = not any(counts[below] for below, _ in inner)
        if is_block or counts[name] < MOST * counts[path]:
            break
        path, parts = name, inner  # such as torchvision's features
    numbered = [[stage] for stage in _numbered(parts, counts)]
    return [
        _worthy([name for name, _ in stage], counts)
        for stage in numbered or _between_halvings(parts)
    ]


def _below(path: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [
        (child_path(module, name, path), part)
        for name, part in parts_of(module).items()
    ]


def _numbered(
    parts: Sequence[tuple[str, nn.Module]], counts: Counter[str]
) -> list[tuple[str, nn.Module]]:
    """Return the parts with numbers, if they are few enough to be stages."""
    found: dict[str, list[tuple[str, nn.Module]]] = {}
    for path, part in parts:
        match = re.fullmatch(r'(.*?)_?\d+', path.rpartition('.')[2])
        if match and not (is_conv(part) or is_norm(part)):
            found.setdefault(match[1], []).append((path, part))

    def places(ones: list[tuple[str, nn.Module]]) -> int:
        return sum(counts[path] for path, _ in ones)

    stages = max(found.values(), key=places, default=[])
    # Or they stand beside the network itself, as ICNet's around a ResNet.
    largest = max(counts[path] for path, _ in parts)
    is_whole = places(stages) >= largest
    return stages if is_whole and 3 <= len(stages) <= MOST_STAGES else []


def _between_halvings(
    parts: Sequence[tuple[str, nn.Module]],
) -> list[list[tuple[str, nn.Module]]]:
    """Group parts that work on maps of one size: a stride above 1 begins a group."""
    groups: list[list[tuple[str, nn.Module]]] = [[]]
    for name, part in parts:
        if any(map(_halves, part.modules())):
            groups.append([])
        groups[-1].append((name, part))
    return groups


def _halves(module: nn.Module) -> bool:
    stride: Any = getattr(module, 'stride', 1)
    return isinstance(stride, (int, tuple)) and stride not in (1, (1, 1), ())


def _counts(model: nn.Module) -> Counter[str]:
    """Return the number of places in each module of a model, by path."""
    counts: Counter[str] = Counter()
    for path, _ in walk(model):
        counts.update([path, *above(path)] if path else [''])
    return counts


def _worthy(names: Sequence[str], counts: Counter[str]) -> list[str]:
    """Return modules with sites, without single convolutions beside blocks."""
    blocks = [name for name in names if counts[name] > 1]
    return blocks or [name for name in names if counts[name]]
