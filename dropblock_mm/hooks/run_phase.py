"""Tells whether a run trains, when its hooks are first called."""

from __future__ import annotations

from mmengine.runner import Runner


def is_training(runner: Runner) -> bool:
    """Tell, in ``before_run``, a run that trains from one that only evaluates.

    MMEngine calls ``before_run`` for training, validation and test alike, and its
    ``train_loop`` builds the loop, with the data set, when asked. But its optimizer is
    a config until training begins. (Where a script has handed over an optimizer
    wrapper that is built, evaluation looks like training. All that the hooks of this
    package then do has no effect in eval mode.)
    """
    return not isinstance(runner.optim_wrapper, dict | None)
