"""MMEngine's checkpoint hook, safe against being killed at any moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from dropblock_mm.registry import HOOKS
from dropblock_mm.runs.checkpoints.late_removal import RemovingLate
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
    """

    backend_args: dict[str, Any] | None
    file_backend: Any

    def before_train(self, runner: Runner) -> None:
        """Choose how files are written and removed, then do what MMEngine does."""
        own = self.backend_args is not None or self.file_client_args is not None
        if not own and '://' not in str(self.out_dir or runner.work_dir):
            self.backend_args = {'backend': BACKEND}
        super().before_train(runner)
        self.file_backend = RemovingLate(self.file_backend, runner.message_hub)
        self._remove_outdated()  # of a run that was killed before it did

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


class _NamingElsewhere:
    """A runner, as MMEngine's hook sees it, whose work dir is its folder of logs.

    The hook writes ``last_checkpoint`` there in place, and a kill would leave it empty.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.work_dir = runner.log_dir

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)
