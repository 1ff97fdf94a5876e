"""MMEngine's checkpoint hook, safe against being killed at any moment."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from dropblock_mm.registry import HOOKS
from dropblock_mm.runs.checkpoints.late_removal import RemovingLate
from dropblock_mm.runs.checkpoints.whole_files import BACKEND, write_whole
from dropblock_mm.runs.hooks.readable_checkpoints import ReadableCheckpoints


class _NamingElsewhere:
    """A runner, as MMEngine's hook sees it, whose work dir is its folder of logs.

    The hook writes ``last_checkpoint`` there in place, and a kill would leave it empty.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner, self.work_dir = runner, runner.log_dir

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


def _whole(save: Callable[..., None]) -> Callable[..., None]:
    """Let MMEngine save, then name the file, then remove what that outdates."""

    @functools.wraps(save)
    def saving(hook: Any, runner: Any, *args: Any, **kwargs: Any) -> None:
        before = hook.last_ckpt
        save(hook, _NamingElsewhere(runner), *args, **kwargs)
        if hook.last_ckpt != before and is_main_process():
            marker = os.path.join(runner.work_dir, 'last_checkpoint')
            write_whole(str(hook.last_ckpt).encode(), marker)
        hook.remove_outdated()

    return saving


def _name_if_newer(resumed: str, work_dir: str) -> None:
    """Have ``last_checkpoint`` name what a run that was killed had no time to name.

    A training that was finished then saves nothing more.
    """
    path, marker = Path(resumed), Path(work_dir, 'last_checkpoint')
    if not path.is_file() or path.parent.resolve() != Path(work_dir).resolve():
        return
    if marker.is_file() and path.stat().st_mtime_ns < marker.stat().st_mtime_ns:
        return  # it was named, or another one since
    write_whole(resumed.encode(), marker)


@HOOKS.register_module()
class CheckpointHook(ReadableCheckpoints):
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

    def before_train(self, runner: Runner) -> None:
        """Choose how files are written and removed, and do what MMEngine does."""
        own = self.backend_args is not None or self.file_client_args is not None
        if not own and '://' not in str(self.out_dir or runner.work_dir):
            self.backend_args = {'backend': BACKEND}
        super().before_train(runner)
        self.file_backend = RemovingLate(self.file_backend, runner.message_hub)
        if is_main_process() and runner.cfg.get('resume'):
            _name_if_newer(str(runner.cfg.get('load_from')), runner.work_dir)
        self.remove_outdated()  # of a run that was killed before it did

    def remove_outdated(self) -> None:
        """Remove the checkpoints that newer ones have replaced."""
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        kept = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        if is_main_process():
            self.file_backend.remove_outdated(str(self.out_dir), kept)

    after_train_iter = _whole(MMEngineCheckpointHook.after_train_iter)
    after_train_epoch = _whole(MMEngineCheckpointHook.after_train_epoch)
    after_val_epoch = _whole(MMEngineCheckpointHook.after_val_epoch)
