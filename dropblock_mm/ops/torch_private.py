"""What torch has no public way to say: the one place that asks its private names.

Each has its reason and a fallback for the day on which the name goes.
"""

from __future__ import annotations

import contextlib
import operator
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

# torch.compiler has it since 2.3; before, compilers cannot be told.
is_compiling: Callable[[], bool] = getattr(
    torch.compiler, 'is_compiling', lambda: False
)
# And this since 2.7.
is_exporting: Callable[[], bool] = getattr(
    torch.compiler, 'is_exporting', lambda: False
)


_Function = TypeVar('_Function', bound=Callable[..., Any])

# Set while a mode is on that comes before dispatching, as make_fx may have it.
_PRE_DISPATCH: Any = getattr(
    getattr(torch._C, 'DispatchKey', None), 'PreDispatch', None
)


def constant_for_compilers(function: _Function) -> _Function:
    """Decorate a function that compilers call once, and do not look into.

    The public name, ``torch.compiler.assume_constant_result``, does no more, but to
    ask for it imports the compiler, which takes a second or more. Without the private
    one graphs break where the function is called.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def is_ordinary() -> bool:
    """Tell that nothing follows operations: no compiler, recorder or transformation.

    Training is ordinary, and asks at every call: so what is asked first is cheap, and
    asked of the process where :func:`is_transformed` asks each tensor. The level of
    forward-mode differentiation has no public name; without the private one nothing is
    ordinary, and the tensors are asked.
    """
    return is_quiet() or not (
        is_compiling()
        or torch.jit.is_tracing()
        or has_dual_tensors()
        or is_transforming()
        or is_recorded()
    )


def _make_quiet_question() -> Callable[[], bool]:
    """Return what tells that not even a mode of dispatching is on, else to ask others.

    Python that has left the caches, as between the layers of a model, is 20 times as
    slow as in a loop, and a name in torch's large modules takes as long to look up as
    its function to answer: so they are looked up once. Without the private names it is
    not known.
    """
    try:
        is_tracing, modes = torch._C._is_tracing, torch._C._len_torch_dispatch_stack
        level = torch._C._functorch.maybe_current_level
        is_included = torch._C._dispatch_tls_is_dispatch_key_included
        _ = forward_ad._current_level
    except AttributeError:
        return lambda: False

    def is_quiet() -> bool:
        return not (
            is_compiling()
            or is_tracing()
            or level() is not None
            or modes()
            or is_included(_PRE_DISPATCH)
            or forward_ad._current_level >= 0
        )

    return is_quiet


# A part of what :func:`is_ordinary` asks.
is_quiet = _make_quiet_question()


def has_dual_tensors() -> bool:
    """Tell whether forward-mode differentiation is on, so that tensors have tangents.

    To ask each is public, and takes longer than small maps have. Without the private
    name each may have one.
    """
    return getattr(forward_ad, '_current_level', 0) >= 0


_running: Any = getattr(torch._C, '_current_graph_task_id', None)


def is_within_backward() -> bool:
    """Tell a forward pass within backward: activation checkpointing repeats it.

    No public name tells it. Without this one, units that are computed twice are
    counted twice, which changes no rate but where a layer is half recomputed.
    """
    return _running is not None and _running() != -1


def is_recomputing() -> bool:
    """Tell :func:`is_within_backward`, also while compiling, which is before it."""
    return not is_compiling() and is_within_backward()


def is_transformed(*values: Any) -> bool:
    """Tell whether torch.func (grad, vmap, jvp) or forward-mode AD follows a tensor.

    These pass tensors whose memory cannot be written, for a wrapper or a tangent would
    not see it. No public name tells the former. Without the private ones such tensors
    are taken for plain, and torch itself refuses.
    """
    if is_compiling():
        return is_transforming()
    functorch = getattr(torch._C, '_functorch', None)
    is_wrapped: Any = getattr(functorch, 'is_functorch_wrapped_tensor', _never)
    for value in values:  # a loop, for it runs at every call
        if isinstance(value, Tensor) and (
            is_wrapped(value) or forward_ad.unpack_dual(value).tangent is not None
        ):
            return True
    return False


@constant_for_compilers  # a compiler cannot look into C
def is_transforming() -> bool:
    """Tell whether a transformation of torch.func is on, whatever it follows."""
    try:
        return torch._C._functorch.maybe_current_level() is not None
    except AttributeError:
        return False


def is_differentiating() -> bool:
    """Tell that transformations of torch.func, if there are any, are derivatives.

    Others are vmap, which draws for each sample. No public name tells which is on.
    Without the private ones it is not known, and each may be a vmap.
    """
    try:
        derivatives = tuple(
            getattr(torch._C._functorch.TransformType, name) for name in ('Grad', 'Jvp')
        )
        levels = torch._C._functorch.get_interpreter_stack()
    except AttributeError:
        return False
    return all(level.key() in derivatives for level in levels or ())


def is_recorded() -> bool:
    """Tell whether ``make_fx`` records operations; it may do so with plain tensors.

    What writes to memory behind torch's back would not be recorded. Without the module
    that is asked nothing can record, and without its name masks are constants of the
    recorded graph.
    """
    if _has_no_modes():
        return False
    recorder = sys.modules.get('torch.fx.experimental.proxy_tensor')
    ask: Any = getattr(recorder, 'get_proxy_mode', None)
    return ask is not None and ask() is not None


def _has_no_modes() -> bool:
    """Tell that no mode of dispatching is on, which is asked in a tenth of the time.

    Without the private names it is not known.
    """
    try:
        return not (
            torch._C._len_torch_dispatch_stack()
            or torch._ops._len_torch_dispatch_stack_pre_dispatch()
        )
    except AttributeError:
        return False


def without_modes() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which no mode turns tensors into fake ones.

    No public name leaves all modes. Without this one a kernel that is tried while a
    mode is on fails, and the slow path is taken from then on.
    """
    try:
        from torch.utils._python_dispatch import _disable_current_modes
    except ImportError:
        return contextlib.nullcontext()
    return _disable_current_modes()


# Tells whether a tensor's numbers may be read from memory, and not by torch alone.
# torch.autograd hands a batch of gradients to a backward pass as one that has none
# (is_grads_batched), by another way than torch.func. No public name tells it. Without
# this one torch refuses to read them.
has_memory: Callable[[Tensor], bool] = getattr(
    torch._C, '_has_storage', lambda tensor: True
)


def unwrapped(value: Any) -> Any:
    """Return what lies beneath the wrappers of torch.func's transformations.

    A tensor inside vmap gets its axis of samples back. No public name does it.
    Without this one the units of one sample are counted.
    """
    functorch = getattr(torch._C, '_functorch', None)
    is_wrapped: Any = getattr(functorch, 'is_functorch_wrapped_tensor', _never)
    unwrap: Any = getattr(functorch, 'get_unwrapped', None)
    if unwrap is None or is_compiling():
        return value
    while isinstance(value, Tensor) and is_wrapped(value):
        value = unwrap(value)
    return value


def beneath_transforms() -> contextlib.AbstractContextManager[Any]:
    """Return a context outside of torch.func's transformations.

    Within them torch refuses to change a tensor from outside, such as a count. No
    public name leaves them for a moment. Without this one torch goes on refusing.
    """
    if not is_transforming():
        return contextlib.nullcontext()
    try:
        from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
    except ImportError:
        return contextlib.nullcontext()
    return temporarily_clear_interpreter_stack()


def _collect_buffers(module: nn.Module) -> Mapping[str, Tensor]:
    return dict(module.named_buffers(recurse=False))


# Returns a module's own buffers by name. A module looks for attributes there after
# everything else, which takes longer than counting what a layer drops. Without the
# private name they are collected.
buffers_of: Callable[[nn.Module], Mapping[str, Tensor]] = (
    operator.attrgetter('_buffers')
    if hasattr(nn.Module(), '_buffers')
    else _collect_buffers
)


class ToldOfConversion(nn.Module):
    """A module that is told when its buffers are moved, cast or emptied.

    ``to``, ``half``, ``to_empty`` and the like are many public methods, a parent's
    reach its parts by none of them, and other libraries call what they have in common.
    Without the private name nothing is told, and buffers that were cast or emptied stay
    so.

    ``refilled`` names the buffers that have their values from elsewhere. Where these
    are on the meta device, and the parameters no longer are, ``to`` moves them as well:
    torch refuses, for they have no values to be copied.
    """

    refilled: frozenset[str] = frozenset()

    def _apply(
        self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any
    ) -> ToldOfConversion:
        before = dict(buffers_of(self))
        refilled = {id(before[name]) for name in self.refilled if name in before}

        def converted(tensor: Tensor) -> Tensor:
            try:
                return fn(tensor)
            except NotImplementedError:
                if not tensor.is_meta or id(tensor) not in refilled:
                    raise
                return fn(torch.zeros_like(tensor, device='cpu'))

        super()._apply(converted, *args, **kwargs)
        self.converted(before)
        return self

    def converted(self, before: Mapping[str, Tensor]) -> None:
        """Do what is to be done after a conversion.

        Args:
            before: The buffers as they were.
        """


def _never(*_: Any) -> bool:
    return False
