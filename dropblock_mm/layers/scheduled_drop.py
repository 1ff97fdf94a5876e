"""What all regularisers share: a rate that a schedule moves, counts, a target."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, fx, nn

from dropblock_mm.errors import RefusedTypeError, RefusedValueError
from dropblock_mm.layers.rate_and_counts import RateAndCounts
from dropblock_mm.ops.arguments import (
    DROP_RATE_NAMES,
    check_gamma_scale,
    check_keep_prob,
    keep_prob_instead,
    names_unknown_arguments,
)
from dropblock_mm.ops.paths import is_plain_on_host, refuse_recording
from dropblock_mm.ops.torch_private import is_recomputing

# Every regulariser by its name, as `layer=...` of a target names it.
LAYERS: dict[str, type[ScheduledDrop]] = {}


class ScheduledDrop(RateAndCounts):
    """A regulariser that keeps units with a probability; the identity in eval mode.

    A new one derives from this class, implements :meth:`drop` and
    :meth:`expected_keep_rate`, and says in ``where`` where it goes unless a target
    says otherwise. Its class name is then a ``layer`` that targets can name; targets
    pass their options on to its constructor, which checks them. The documentation has
    a page about it, "A regulariser of your own".

    It has no parameters and only non-persistent buffers, so a model's state_dict is
    the same with and without it. ``keep_prob`` is the rate of now, and ``kept_units``
    and ``seen_units`` count the units of every forward pass in training mode, a
    recomputed pass not again; see
    :class:`~dropblock_mm.layers.rate_and_counts.RateAndCounts`.

    Tracers of ``torch.fx`` see one node, in either mode: the layer itself.

    Args:
        keep_prob: Probability of keeping a unit, in [0, 1]. Under a schedule it is the
            value that ends at; None leaves that to the schedule, and keeps everything
            until one sets it.
        drop_scale: Factor on the drop rate ``1 - keep_prob``, at least 0.
        in_channels: Not used; OpenMMLab's plugin builder passes it.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.
    """

    where = 'conv'

    if TYPE_CHECKING:  # as in RateAndCounts
        __jit_unused_properties__: ClassVar[list[str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = LAYERS.get(cls.__name__)
        if known is not None and _is_ours(known) and not _is_ours(cls):
            raise RefusedValueError(
                f'{cls.__name__!r} is the name of a layer of dropblock_mm, and targets '
                'name layers by it. Give your class another name.'
            )
        if not cls.__name__.startswith('_'):
            LAYERS[cls.__name__] = cls
        own = vars(cls).get('__init__')
        if own is not None and _takes_known_names(own):
            cls.__init__ = names_unknown_arguments(own)  # type: ignore[method-assign]
        # TorchScript compiles every property that is not named here.
        names = [n for c in cls.__mro__ for n, v in vars(c).items() if _is_property(v)]
        cls.__jit_unused_properties__ = names

    @names_unknown_arguments
    def __init__(
        self,
        *,
        keep_prob: float | None,
        drop_scale: float = 1.0,
        in_channels: int | None = None,
    ) -> None:
        final = None if keep_prob is None else check_keep_prob(keep_prob)
        super().__init__(1.0 if final is None else final)
        self.target: str | None = None  # set by injection; names it in logs
        self.final_keep_prob = final
        self.drop_scale = check_gamma_scale(drop_scale, 'drop_scale')

    def drop(self, x: Tensor, keep_prob: Tensor) -> tuple[Tensor, Tensor | int]:
        """Drop units of ``x``.

        Args:
            x: Tensor[N, C, ...], floating point.
            keep_prob: Tensor[], the rate of now; ``drop_scale``, the factor on
                ``1 - keep_prob``, is not in it, nor in that of the other methods.

        Returns:
            tuple[Tensor, Tensor | int]: A fresh tensor like ``x``, and the number of
            its units that were kept.
        """
        raise NotImplementedError(f'{type(self).__name__} implements no drop().')

    def expected_keep_rate(self, keep_prob: float, size: tuple[int, ...]) -> float:
        """Return the exact expected share of units that are kept.

        Args:
            keep_prob: Probability of keeping a unit, in [0, 1].
            size: Size of the map without batch and channels, such as (H, W).
        """
        raise NotImplementedError(
            f'{type(self).__name__} implements no expected_keep_rate().'
        )

    def facts(self, keep_prob: float, size: tuple[int, ...]) -> dict[str, Any]:
        """Return what else can be said of a map of a size, by name; print_sites does.

        Args:
            keep_prob: Probability of keeping a unit, in [0, 1].
            size: Size of the map without batch and channels, such as (H, W).
        """
        return {}

    def settings(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, by name.

        ``repr``, the report of sites and print_sites show them.
        """
        return {} if self.drop_scale == 1.0 else {'drop_scale': self.drop_scale}

    @classmethod
    def display_name(cls) -> str:
        """Return what the method is called: DropBlock for DropBlock2d."""
        return re.sub(r'\dd$', '', cls.__name__)

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of Tensor[N, C, ...] in training mode; see the class."""
        if torch.jit.is_scripting():  # all that TorchScript compiles
            if self.training:
                raise RuntimeError(
                    'TorchScript cannot drop units. Call model.eval() before '
                    'torch.jit.script, and train the model that was scripted.'
                )
            return x
        else:
            return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        if isinstance(x, fx.Proxy):
            return self._one_node(x)
        if not self.training:
            return x
        if is_plain_on_host(x) and self.is_usable_on_host():
            # Training on the CPU, where every microsecond of each site counts.
            rate = self._buffers['keep_prob']
            out, kept = self.drop(x, rate)  # type: ignore[arg-type]
            if not is_recomputing():
                self.count_on_host(x, kept)
            return out
        refuse_recording(type(self).__name__)
        self.make_usable(x.device)
        out, kept = self.drop(x, self.keep_prob)
        if not is_recomputing():
            self.count(x, kept)
        return out

    def _one_node(self, x: Any) -> Any:
        """Return the proxy of a call of this layer, as for a leaf of the tracer.

        The traced module then holds the layer itself, which follows its mode and its
        schedule. A tracer takes modules of torch alone for leaves, and would record
        one branch of every condition in others.

        Args:
            x: Proxy of the layer's input, of a ``torch.fx`` tracer.
        """
        path = x.tracer.path_of_module(self)
        return x.tracer.create_proxy('call_module', path, (x,), {})

    def apply_to_output(
        self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor
    ) -> Tensor:
        """Forward hook: drop units of another module's output.

        It is a method because deepcopy rebinds a bound method to the copied
        layer, where a closure would go on calling the original.
        """
        return self(output)

    def extra_repr(self) -> str:
        """Show the rate of now and every setting that differs from its default."""
        settings = {'keep_prob': self._rate, **self.settings()}
        return ', '.join(f'{name}={_short(value)}' for name, value in settings.items())

    def __setattr__(self, name: str, value: Any) -> None:
        if name in DROP_RATE_NAMES or (
            name == 'keep_prob' and not isinstance(value, Tensor)
        ):
            raise RefusedTypeError(
                f'{type(self).__name__}.{name} = {value!r} would change nothing. '
                f'{_right_way(name, value)}'
            )
        super().__setattr__(name, value)


def _is_property(value: Any) -> bool:
    return isinstance(value, property)


def _takes_known_names(init: Callable[..., Any]) -> bool:
    """Tell a constructor without ``*args`` and ``**kwargs``, and not decorated yet."""
    kinds = {p.kind for p in inspect.signature(init).parameters.values()}
    any_names = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return not (kinds & any_names or hasattr(init, '__wrapped__'))


def _is_ours(layer: type) -> bool:
    return layer.__module__.startswith('dropblock_mm.')


def _right_way(name: str, value: Any) -> str:
    """Say how to set the rate that was assigned to an attribute."""
    if name == 'keep_prob':
        return f'Call set_keep_prob({value!r}).'
    return f'Call set_keep_prob: {keep_prob_instead(name, value)}.'


def _short(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
