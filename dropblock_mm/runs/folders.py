"""What is said of the folder of a run, before anything is written there."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm.errors import RefusedFileError
from dropblock_mm.runs.type_names import type_name

_SAVED_NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')
# Strategies whose checkpoints are folders.
_SAVE_FOLDERS = ('DeepSpeedStrategy', 'FSDPStrategy', 'ColossalAIStrategy')


def check_work_dir(cfg: Config) -> None:
    """Refuse a work dir that is no folder and cannot become one; make nothing.

    Raises:
        RefusedFileError: It, or a folder above it, is a file or may not be written.
    """
    check_folder(cfg.work_dir, f'--work-dir={cfg.work_dir!r}')


def check_out(path: str | Path, option: str = '--out') -> None:
    """Refuse a file that cannot be written, before minutes of work for it.

    Args:
        path: The file.
        option: That it was given by.

    Raises:
        RefusedFileError: It is a folder, or its own folder cannot be written.
    """
    asked = f'{option} {str(path)!r}'
    if Path(path).is_dir():
        raise RefusedFileError(f'{asked} is a folder. Give the name of a file in it.')
    check_folder(Path(path).parent, asked)


def check_folder(folder: str | Path, asked: str) -> None:
    """Refuse what is no folder and cannot become one; leave nothing behind.

    Args:
        folder: It need not exist.
        asked: What the user typed.

    Raises:
        RefusedFileError: It, or a folder above it, is a file or may not be written.
    """
    path = Path(folder).expanduser().absolute()
    above = next(p for p in (path, *path.parents) if os.path.lexists(p))
    if not above.is_dir():
        raise RefusedFileError(
            f"{asked}: '{above}' is not a folder. Give a folder, which need not exist."
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise RefusedFileError(
            f"{asked} cannot be written: '{above}' gives no permission to. Give a "
            'folder of yours.'
        )
    try:  # the superuser has all permissions, and a file system its own mind
        with TemporaryDirectory(dir=above):
            pass
    except OSError as error:
        raise RefusedFileError(
            f"{asked} cannot be written: in '{above}' nothing can be made "
            f'({error.strerror}). Give another folder.'
        ) from error


def make_work_dir(cfg: Config) -> None:
    """Make the work dir, as a runner does first of all.

    Raises:
        RefusedFileError: The system does not let it, for whatever reason.
    """
    try:
        Path(cfg.work_dir).expanduser().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedFileError(
            f'--work-dir={cfg.work_dir!r} cannot be made: {error}. Give another.'
        ) from error


def refuse_folder(cfg: Config, key: str) -> None:
    """Refuse a folder where a checkpoint has to be a file.

    Args:
        cfg (Config): Its ``load_from`` is set, or not.
        key: Where that came from, for the message.

    Raises:
        RefusedFileError: It is one, and the run's strategy does not save folders.
    """
    path = cfg.get('load_from')
    if not path or '://' in path or not os.path.isdir(os.path.expanduser(path)):
        return
    if type_name(cfg.get('strategy') or {}) in _SAVE_FOLDERS:
        return
    files = [os.path.join(path, name) for name in saved_in(path)]
    hint = f'Did you mean {files[-1]!r}?' if files else 'It has none of a training.'
    raise RefusedFileError(
        f'{key}={path!r} is a folder; expected a checkpoint (.pth). {hint}'
    )


def saved_in(folder: str | Path) -> list[str]:
    """Return the names of a training's checkpoints in a folder, the last one last."""
    numbers = {}
    for path in Path(folder).glob('*.pth'):
        found = _SAVED_NAME.fullmatch(path.name)
        if found:
            numbers[path.name] = int(found[2])
    return sorted(numbers, key=numbers.__getitem__)


def folder_of_run(checkpoint: str) -> str | None:
    """Return the folder of a checkpoint if a training has written there."""
    if '://' in checkpoint:
        return None
    folder = Path(checkpoint).expanduser().parent
    is_runs = (folder / 'last_checkpoint').is_file() or any(folder.glob('*/vis_data'))
    return str(folder) if is_runs and os.access(folder, os.W_OK) else None


def say_where_training_begins(cfg: Config, asked: str | None) -> None:
    """Say what a start without ``--resume`` does to what is there, and the contrary.

    Args:
        cfg (Config): Its ``resume`` is decided.
        asked: What followed ``--resume``.
    """
    names = saved_in(cfg.work_dir) if os.path.isdir(cfg.work_dir) else []
    if cfg.get('resume'):
        return
    if asked:
        warn(f'--resume: {cfg.work_dir!r} has no checkpoint yet; training starts anew')
    elif names:
        warn(
            f'{cfg.work_dir!r} has checkpoints of an earlier training, up to '
            f'{names[-1]}. This one starts anew and replaces those of the same name; '
            'to go on, give --resume; to keep them, another --work-dir'
        )


def interrupted(work_dir: str) -> str:
    """Say what is left when a training was stopped from the keyboard."""
    names = saved_in(work_dir) if os.path.isdir(work_dir) else []
    if names or Path(work_dir, 'last_checkpoint').is_file():
        return f'stopped; the same command with --resume goes on in {work_dir}'
    return (
        f'stopped before the first checkpoint: nothing is saved in {work_dir}, and the '
        'same command starts anew. default_hooks.checkpoint.interval says how often to '
        'save'
    )


def warn(text: str) -> None:
    """Print a warning, in one process of each machine."""
    if os.environ.get('LOCAL_RANK', '0') == '0':
        print(f'warning: {text}', file=sys.stderr, flush=True)


class SayFinished(Hook):
    """Says it where the training that is resumed has nothing left to do.

    That is no error: one command fits every attempt of a job that is started again.
    """

    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Compare where the checkpoint is with the length of training."""
        loop = runner.train_loop
        if runner.iter == 0 or runner.iter < loop.max_iters:
            return
        # MMEngine's loop of iterations calls its length one epoch.
        by_epoch = (runner.cfg.get('train_cfg') or {}).get('max_epochs')
        key = 'max_epochs' if by_epoch else 'max_iters'
        done = runner.epoch if by_epoch else runner.iter
        runner.logger.warning(
            f'{runner.cfg.load_from!r} is of a finished training, of {done:,} '
            f'{key.partition("_")[2]}: nothing is left to do. Evaluate it with test, '
            f'or train longer: --cfg-options train_cfg.{key}=N with N above {done}.'
        )
