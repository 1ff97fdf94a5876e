"""The part of the checkpoint hook that sees to it that checkpoints can be read."""

from __future__ import annotations

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from dropblock_mm.runs.checkpoints.readable import refuse_unreadable, unreadable_parts


class _NothingSaved(Exception):  # noqa: N818
    """Ends a saving in which nothing is to be written."""


class ReadableCheckpoints(MMEngineCheckpointHook):
    """Refuse before training, or name in a warning, what could not be read back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._warned: set[str] = set()
        self._instead_of_saving: dict[str, Any] | None = None

    def before_train(self, runner: Runner) -> None:
        """Do what MMEngine does, then put a checkpoint together, and go no further.

        Raises:
            RefusedValueError: It could not be read back.
        """
        super().before_train(runner)
        if not isinstance(runner, Runner):  # others save in ways of their own
            return
        saved: dict[str, Any] = {}
        self._instead_of_saving = saved
        try:
            # Sharded optimizers collect their state from all ranks, which only a
            # real saving has all of them take part in.
            runner.save_checkpoint(
                runner.work_dir,
                'unsaved.pth',
                save_optimizer=self.save_optimizer and get_world_size() == 1,
                save_param_scheduler=bool(runner.param_schedulers),
            )
        except _NothingSaved:
            refuse_unreadable(saved)
        except Exception as error:  # of a hook that is only ready once training ran
            runner.logger.warning(
                'whether checkpoints can be read back was not tried, putting one '
                f'together failed: {type(error).__name__}: {error}'
            )
        finally:
            self._instead_of_saving = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note what is going to be saved, and warn of what could not be read back."""
        if self._instead_of_saving is not None:
            self._instead_of_saving.update(checkpoint)
            raise _NothingSaved
        for part in unreadable_parts(checkpoint):
            if part.place not in self._warned:
                self._warned.add(part.place)
                runner.logger.warning(
                    f'training cannot be resumed from this checkpoint: {part}'
                )
