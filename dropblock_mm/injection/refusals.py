"""What users are told where a target has no site."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Mapping

from torch import nn

from dropblock_mm.injection.adapters.blocks import is_norm
from dropblock_mm.injection.targets import Target
from dropblock_mm.injection.walk import above, is_beneath, named_modules, stem_of, walk

_SHOWN = 3  # modules of a regular expression that matches many


def no_site_message(
    model: nn.Module, target: Target, matches: Mapping[str, nn.Module]
) -> str:
    """Say that what a target names has no site, why, and what to do."""
    names = [
        f'{name or "the model"} ({type(m).__name__})' for name, m in matches.items()
    ]
    more = ['others'] if len(names) > _SHOWN else []
    return (
        f'{target.key}.module={target.module!r} with '
        f'where={target.where or target.layer.where!r} names '
        f'{_listed(names[:_SHOWN] + more)}, which {"have" if names[1:] else "has"} no '
        f'site for {target.layer.display_name()}: {_reason(model, target, matches)}'
    )


def _reason(model: nn.Module, target: Target, matches: Mapping[str, nn.Module]) -> str:
    places = [*walk(model)]
    kinds = [*dict.fromkeys(p.kind for path, p in places if is_beneath(path, matches))]
    if kinds:
        where = 'branch' if kinds == ['branch'] else 'both'
        kind = f'kind{"s" if kinds[1:] else ""} {_listed([repr(k) for k in kinds])}'
        return f'all sites there are of the {kind}. Give where={where!r}.'
    modules = dict(named_modules(model))
    for path in above(next(iter(matches))):
        names = [
            place.name
            for owner, place in places
            if owner == path and place.kind in target.kinds
        ]
        if names:
            return (
                f'it is a part of {path or "the model"} '
                f'({type(modules[path]).__name__}), whose sites are '
                f'{_listed(names)}. Name that module.'
            )
    return (
        f'{_why_no_site(modules, matches)} Sites are residual blocks, '
        'conv-norm-activation units (ConvModule) and convolutions followed by a norm '
        'in a Sequential. Name a module that contains some, or teach injection your '
        'kind of block with dropblock_mm.register_block_adapter.'
    )


def _why_no_site(
    modules: Mapping[str, nn.Module], matches: Mapping[str, nn.Module]
) -> str:
    for path in matches:
        chain = [modules[p] for p in (path, *above(path))]
        if any(a in stem_of(b) for a, b in itertools.pairwise(chain)):
            return 'it is in the stem of a ResNet, which is in no residual block.'
    return why_no_site(matches.values())


def why_no_site(modules: Iterable[nn.Module]) -> str:
    """Say why modules have no site, as far as their classes show it.

    Returns:
        str: A sentence without a capital letter.
    """
    parts = [part for module in modules for part in module.modules()]
    kinds = dict.fromkeys(type(part).__name__ for part in parts)
    if not any('Conv' in kind for kind in kinds):
        return 'none of its modules is a convolution.'
    if 'MSCABlock' in kinds:
        return 'the norms of its blocks come before the convolutions, not after them.'
    if not any(map(is_norm, parts)):
        if any('LayerNorm' in kind for kind in kinds):
            return 'its norms are LayerNorm, of tokens or channels, as in transformers.'
        return 'none of its modules is a norm of feature maps, such as BatchNorm2d.'
    owners = dict.fromkeys(
        type(part).__name__ for part in parts if any(map(is_norm, part.children()))
    )
    names = _listed([*owners][:_SHOWN]) or 'no block'
    return (
        f'its norms are in {names}: no kind of block that injection knows, by its '
        'parts or by a sum in its forward.'
    )


def _listed(names: list[str]) -> str:
    *most, last = dict.fromkeys(names) or ['']
    return f'{", ".join(most)} and {last}' if most else last


def no_match_message(
    named: str, key: str, modules: Mapping[str, nn.Module], model_name: str
) -> str:
    """Say that what a target names is no module, and which names are near it."""
    # Cells of a deep path are noise next to the stages that users mean.
    names = sorted((name for name in modules if name), key=lambda n: n.count('.'))
    close = difflib.get_close_matches(named, names, n=5, cutoff=0.5)
    top_level = [name for name in names if '.' not in name]
    hint = (
        f'Near matches: {", ".join(close)}.'
        if close
        else f'Its parts are: {", ".join(top_level)}.'
    )
    return (
        f'{key}={named!r} matches no module of {model_name}. '
        f'{hint} Give the path of a module, or a regular expression that matches '
        'whole paths.'
    )
