"""The hook that has modules computed twice, to save their activations' memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.recomputation import recomputed_forward
from dropblock_mm.registry import HOOKS


@HOOKS.register_module()
class ActivationCheckpointingHook(Hook):
    """Recompute modules in the backward pass, with the same masks.

    MMEngine's ``activation_checkpointing`` uses torch's reentrant variant, which gives
    no gradients to a module whose arguments do not ask for them: the one behind a
    frozen stage, or one that gets a tuple, such as a neck. There the weights of the
    module, or of all before it, silently stay as they are. And a norm of the module
    counts every batch twice; here it counts it once. ``tools/train.py`` puts this hook
    in the place of that key.

    Args:
        modules: Dotted paths in the model.

    Raises:
        ValueError: Before training, if there is no such module.
    """

    # After others that look at the modules.
    priority = 'LOWEST'

    def __init__(self, modules: str | Sequence[str]) -> None:
        self.modules = [modules] if isinstance(modules, str) else list(modules)
        self._wrapped = False

    def before_train(self, runner: Runner) -> None:
        """Wrap the modules, once.

        Before the loop begins, which is after ``before_run``: there EMAHook copies the
        model, and the copy must not call modules of the original.
        """
        if self._wrapped:
            return
        self._wrapped = True
        model: Any = runner.model
        model = model.module if is_model_wrapper(model) else model
        for module in [_find(model, name) for name in self.modules]:
            again = functools.partial(recomputed_forward, module, module.forward)
            module.forward = functools.wraps(module.forward)(again)
        runner.logger.info(f'recomputed in the backward pass: {self.modules}')


def _find(model: nn.Module, name: str) -> Any:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise RefusedValueError(
            f'activation_checkpointing names {name!r}, but the model has no such '
            f'module ({error}). Give dotted paths as in model.named_modules().'
        ) from error
