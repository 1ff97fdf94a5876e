"""MMEngine's checkpoint hook, safe against being killed at any moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import BaseStorageBackend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from dropblock_mm.registry import HOOKS
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
        """Choose how files are written, then do what MMEngine does."""
        own = self.backend_args is not None or self.file_client_args is not None
        if not own and '://' not in str(self.out_dir or runner.work_dir):
            self.backend_args = {'backend': BACKEND}
        super().before_train(runner)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: Mapping[str, Any]
    ) -> None:
        """Save, name the file in ``last_checkpoint``, delete the outdated one."""
        outdated = self._keep(step)
        info = runner.message_hub
        if self.max_keep_ckpts > 0:
            # Killed before the deletion below, a resumed run finds one too many
            # here, and deletes it.
            info.update_info('keep_ckpt_ids', [*outdated, *self.keep_ckpt_ids])
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        info.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=dict(meta),
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            marker = os.path.join(runner.work_dir, 'last_checkpoint')
            write_whole(self.last_ckpt.encode(), marker)
            for each in outdated:
                old = self.filename_tmpl.format(each)
                _remove(
                    self.file_backend, self.file_backend.join_path(self.out_dir, old)
                )
        if self.max_keep_ckpts > 0:
            info.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _remove_checkpoint(self, name: str) -> None:
        path = self.file_backend.join_path(self.out_dir, name)
        _remove(self.file_backend, path)

    def _keep(self, step: int) -> list[int]:
        """Add a checkpoint to those that are kept; return what this outdates."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        ids = [*self.keep_ckpt_ids, step]
        self.keep_ckpt_ids.append(step)  # drops the oldest one if it is full
        return ids[: -self.max_keep_ckpts]

    def _save_best_checkpoint(
        self, runner: Runner, metrics: Mapping[str, float]
    ) -> None:
        """Let MMEngine save the best one, but delete the former best afterwards."""
        backend = self.file_backend
        self.file_backend = _RemovingLater(backend)
        super()._save_best_checkpoint(runner, metrics)
        self.file_backend, doomed = backend, self.file_backend.doomed
        for path in doomed:
            _remove(backend, path)


class _RemovingLater:
    """A file backend that only notes what it is told to delete."""

    def __init__(self, backend: BaseStorageBackend) -> None:
        self._backend = backend
        self.doomed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.doomed.append(path)

    rmtree = remove


def _remove(backend: Any, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # as DeepSpeed writes them
        backend.rmtree(path)
