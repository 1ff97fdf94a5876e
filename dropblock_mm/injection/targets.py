"""What users write under ``targets``: checked here, matched to modules here."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dropblock_mm.errors import RefusedError, RefusedTypeError, RefusedValueError
from dropblock_mm.injection.places import KINDS
from dropblock_mm.layers import LAYERS, DropBlock2d, ScheduledDrop
from dropblock_mm.ops.arguments import check_flag, check_keep_prob, reject_unknown

# Arguments of a layer's constructor that are no options of a target: keep_prob is one
# of every target's own, and the last is OpenMMLab's plugin builder's.
AUTO = 'auto'  # in place of targets: they are found by looking at the model
_NO_OPTIONS = ('self', 'keep_prob', 'in_channels')
SCALES = ('gamma_scale', 'drop_scale')  # options that multiply the drop rate


@dataclass(frozen=True)
class Target:
    """A part of the model, and which layer is to work in it, and how.

    Args:
        module: Dotted path of a module ('backbone.layer3'), or a regular
            expression that matches whole paths ('backbone.layer[34]').
        where: 'conv' (after each conv-norm), 'shortcut' (on the skip connection
            of residual blocks), 'both' of these, or 'branch' (what a residual block
            adds to its skip connection); '' is where the layer usually goes.
        layer: The class of the layer.
        keep_prob: Probability of keeping a unit, in [0, 1]; None leaves it to
            the schedule.
        grows_with_depth: Of n blocks, multiply the drop rate of the i-th by i / n.
        options: Further arguments of the layer's constructor.
        key: How messages call this target, such as 'targets[0]'.
    """

    module: str
    where: str = ''
    layer: type[ScheduledDrop] = DropBlock2d
    keep_prob: float | None = None
    grows_with_depth: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    key: str = 'target'

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of place that are wanted."""
        where = self.where or self.layer.where
        return ('conv', 'shortcut') if where == 'both' else (where,)

    def build(self) -> ScheduledDrop:
        """Build a layer; its constructor checks the options."""
        make: Any = self.layer
        layer: ScheduledDrop = make(keep_prob=self.keep_prob, **self.options)
        layer.target = self.module
        return layer


@dataclass(frozen=True)
class Defaults:
    """What holds for targets that say nothing else.

    Args:
        layer: A name in LAYERS, or a class.
        keep_prob: For all of them.
        where: For all of them.
        options: For those of this layer.
        owner: What takes them, for messages.
    """

    layer: str | type[ScheduledDrop] = 'DropBlock2d'
    keep_prob: float | None = None
    where: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    owner: str = 'inject'


def parse_targets(
    targets: Sequence[Mapping[str, Any]], shared: Defaults
) -> list[Target]:
    """Check the user's targets and the defaults they share.

    Args:
        targets: One mapping per target, with ``module``, optionally the other keys of
            :class:`Target`, and the options of its layer.
        shared: Values for the keys that a target leaves out.

    Returns:
        list[Target]: As many as were given.

    Raises:
        TypeError: If something has a wrong type or an unknown key.
        ValueError: If there is no target or a value is outside its range.
    """
    layer = checked_layer(shared.layer, 'layer')
    _check_where(shared.where, 'where')
    known = ['targets', 'layer', 'keep_prob', 'where', *options_of(layer)]
    reject_unknown(shared.options, known, shared.owner)
    base = Target('', shared.where or '', layer, shared.keep_prob, key='')
    _check_shared(replace(base, options=shared.options))
    if isinstance(targets, Mapping | str) or not isinstance(targets, Sequence):
        raise RefusedTypeError(
            f'targets={targets!r} is not a list. Give a list of dicts, for example '
            "targets=[dict(module='backbone.layer4')], or 'auto' for the last two "
            'stages of the backbone.'
        )
    if not targets:
        raise RefusedValueError(
            'targets=[] names no module. Give at least one, for example '
            "targets=[dict(module='backbone.layer4')]."
        )
    return [
        _parse_target(target, base, shared.options, f'targets[{index}]')
        for index, target in enumerate(targets)
    ]


def options_of(layer: type[ScheduledDrop]) -> list[str]:
    """Return the names of the options that a target can give to a layer."""
    parameters = inspect.signature(layer.__init__).parameters
    return [name for name in parameters if name not in _NO_OPTIONS]


def _parse_target(
    given: Any, base: Target, shared: Mapping[str, Any], key: str
) -> Target:
    if not isinstance(given, Mapping):
        raise RefusedTypeError(
            f"{key}={given!r} is not a dict. Write dict(module='backbone.layer4')."
        )
    odd = next((name for name in given if not isinstance(name, str)), '')
    if not isinstance(odd, str):
        raise RefusedTypeError(
            f'{key}: the key {odd!r} is not a string. Give module, and options by name.'
        )
    rest = dict(given)
    layer = checked_layer(rest.pop('layer', base.layer), f'{key}.layer')
    own = [f.name for f in fields(Target) if f.name not in ('key', 'options')]
    options = {name: value for name, value in rest.items() if name not in own}
    owner = f'{key} (layer {layer.__name__})'
    reject_unknown(options, [*own, *options_of(layer)], owner)
    module = rest.get('module')
    if not isinstance(module, str):
        raise RefusedTypeError(
            f'{key}.module={module!r} is not a string. Give the path of a module, '
            "such as 'backbone.layer4', or a regular expression for paths."
        )
    target = replace(
        base,
        module=module,
        layer=layer,
        where=_check_where(rest.get('where', base.where), f'{key}.where') or '',
        keep_prob=rest.get('keep_prob', base.keep_prob),
        grows_with_depth=check_flag(
            rest.get('grows_with_depth', False), f'{key}.grows_with_depth'
        ),
        options={**(shared if layer is base.layer else {}), **options},
        key=key,
    )
    missing = _missing_options(target)
    if missing:
        raise RefusedTypeError(
            f'{key}.{missing[0]} is missing: {layer.__name__} needs it. Give it in the '
            f'target, or for all targets of this layer.'
        )
    if target.grows_with_depth and not {*SCALES} & {*options_of(layer)}:
        raise RefusedTypeError(
            f'{key}.grows_with_depth multiplies the drop rate of {layer.__name__}, '
            'which has no option drop_scale for that. Leave it out, or have the layer '
            'take drop_scale.'
        )
    _build_checked(target, {*options, *rest})
    return target


def _check_shared(target: Target) -> None:
    """Check the defaults before any target: their messages name no target."""
    if target.keep_prob is not None:
        check_keep_prob(target.keep_prob)
    if not _missing_options(target):
        _build_checked(target, ())


def checked_layer(value: Any, name: str) -> type[ScheduledDrop]:
    """Return the class of a layer that was named.

    Raises:
        TypeError: If it is neither a name nor a class.
        ValueError: If there is no layer of that name.
    """
    if isinstance(value, type) and issubclass(value, ScheduledDrop):
        return value
    if isinstance(value, str) and value in LAYERS:
        return LAYERS[value]
    if not isinstance(value, str):
        raise RefusedTypeError(
            f'{name}={value!r} is neither a name nor a class that derives from '
            'dropblock_mm.ScheduledDrop.'
        )
    close = difflib.get_close_matches(value, LAYERS, n=3, cutoff=0.4)
    hint = f'Near matches: {", ".join(close)}.' if close else ''
    raise RefusedValueError(
        f'{name}={value!r} is no layer. {hint or "There are: " + ", ".join(LAYERS)} '
        'A layer of your own derives from dropblock_mm.ScheduledDrop, and its file has '
        "to be imported, for example by the config's custom_imports."
    )


def _check_where(value: Any, name: str) -> str | None:
    if value not in (*KINDS, 'both', None, ''):
        raise RefusedValueError(
            f"{name}={value!r} is not a place. Give 'conv' (after each conv-norm), "
            "'shortcut' (on the skip connections), 'both' of these, or 'branch' (what "
            'a residual block adds to its skip connection).'
        )
    return value


def _missing_options(target: Target) -> list[str]:
    parameters = inspect.signature(target.layer.__init__).parameters
    return [
        name
        for name in options_of(target.layer)
        if parameters[name].default is inspect.Parameter.empty
        and name not in target.options
    ]


def _build_checked(target: Target, given: Collection[str]) -> None:
    """Build a layer, and name the target in what the constructor refuses.

    Args:
        target: The target.
        given: The names that were typed in this target, not for all of them.
    """
    try:
        target.build()
    except ValueError as error:
        refused = type(error) if isinstance(error, RefusedError) else RefusedValueError
        raise refused(_with_key(target.key, given, str(error))) from error
    except RefusedTypeError as error:
        raise RefusedTypeError(_with_key(target.key, given, str(error))) from error


def _with_key(key: str, given: Collection[str], message: str) -> str:
    """Put a target's key before a message, as in 'targets[0].block_size=0 is'."""
    name = re.match(r'(\w+)=', message)
    if not key or name is None:
        return f'{key}: {message}' if key else message
    return f'{key}.{message}' if name[1] in given else message
