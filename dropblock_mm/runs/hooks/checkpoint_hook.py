"""MMEngine's checkpoint hook, safe against being killed at any moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from dropblock_mm.registry import HOOKS
from dropblock_mm.runs.checkpoints.late_removal import RemovingLate
from dropblock_mm.runs.checkpoints.readable import (
    refuse_unreadable,
    unreadable_parts,
)
from dropblock_mm.runs.checkpoints.whole_files import BACKEND, write_whole


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """Save checkpoints so that at every moment there is a whole one.

    It takes the arguments of MMEngine's ``CheckpointHook``, which writes into the
    final file, and deletes the checkpoint that a new one replaces before that is
    written: with ``max_keep_ckpts=1`` a run that is killed while it saves has
    nothing left. Here a checkpoint appears under its name when it is complete, then
    ``last_checkpoint`` names it, and only then outdated ones go. So there has to be
    space for one checkpoint more.

    ``tools/train.py`` puts it in the place of MMEngine's. Storage other than local
    files is written as its backend does it.

    What cannot be read back by safe loading, say a custom hook's state of a class of
    its own, is refused before training starts. What first turns up later is named in
    a warning.
    """

    backend_args: dict[str, Any] | None
    file_backend: Any
    _instead_of_saving: dict[str, Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._warned: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Choose how files are written and removed, then do what MMEngine does."""
        own = self.backend_args is not None or self.file_client_args is not None
        if not own and '://' not in str(self.out_dir or runner.work_dir):
            self.backend_args = {'backend': BACKEND}
        super().before_train(runner)
        self.file_backend = RemovingLate(self.file_backend, runner.message_hub)
        self._remove_outdated()  # of a run that was killed before it did
        self._try_reading_back(runner)

    def _try_reading_back(self, runner: Runner) -> None:
        """Put a checkpoint together, and go no further.

        Raises:
            RefusedValueError: It could not be read back.
        """
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

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Save if it is time."""
        self._whole(super().after_train_iter, runner, *args, **kwargs)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save if it is time."""
        self._whole(super().after_train_epoch, runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save if it is the best."""
        self._whole(super().after_val_epoch, runner, metrics)

    def _whole(
        self, save: Callable[..., None], runner: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Let MMEngine save, name the file, then remove what that outdates."""
        before, marker = (
            self.last_ckpt,
            os.path.join(runner.work_dir, 'last_checkpoint'),
        )
        save(_NamingElsewhere(runner), *args, **kwargs)
        if self.last_ckpt != before and is_main_process():
            write_whole(str(self.last_ckpt).encode(), marker)
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        kept = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        if is_main_process():
            self.file_backend.remove_outdated(str(self.out_dir), kept)


class _NothingSaved(Exception):  # noqa: N818
    """Ends a saving in which nothing is to be written."""


class _NamingElsewhere:
    """A runner, as MMEngine's hook sees it, whose work dir is its folder of logs.

    The hook writes ``last_checkpoint`` there in place, and a kill would leave it empty.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.work_dir = runner.log_dir

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)
