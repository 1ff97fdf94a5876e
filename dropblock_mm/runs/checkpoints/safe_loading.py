"""Loads MMEngine's checkpoints without giving up torch's safe loading.

Since 2.6 ``torch.load`` refuses everything but tensors and plain containers, and
MMEngine saves a little more than that, the log's history for one. :mod:`.allowed` lists
that little more, and every file is tried before the runner touches it.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.utils import digit_version

from dropblock_mm.errors import RefusedFileError, RefusedValueError
from dropblock_mm.runs.checkpoints.allowed import mmengine_globals


class DamagedCheckpointError(RefusedValueError):
    """A checkpoint that cannot be read, but does not ask for anything forbidden."""


def keep_loading_safe() -> None:
    """Make every later ``torch.load`` of this process a safe one that suffices.

    Whatever MMEngine's Runner saves can be read then, and nothing that runs code. The
    commands call this by themselves; a script of one's own, or a notebook that uses
    mmdet's ``init_detector`` or a Runner's ``resume``, calls it once before. What a
    hook saves of a class of one's own is allowed beside it, by
    ``torch.serialization.add_safe_globals([Class])``.

    Call it again after a checkpoint was loaded by onedl-mmengine 0.10.12, if your own
    code calls ``torch.load`` then: the fork loads in torch's ``safe_globals`` context,
    whose end also removes what was allowed before it began.

    The environment variable also covers what is out of our hands: some versions of
    MMEngine repeat a refused load with ``weights_only=False``, and files behind
    ``https://`` or ``torchvision://`` are fetched and loaded by MMEngine itself.
    """
    os.environ.pop('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', None)
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    if can_read_all():
        torch.serialization.add_safe_globals(mmengine_globals())


def can_read_all() -> bool:
    """Tell whether torch has a list of what may be read.

    Older versions load safely too, but refuse the log's history: they can train and
    start from plain weights.
    """
    return digit_version(torch.__version__) >= digit_version('2.6.0')


def check_checkpoint(path: str, key: str, resume: bool = False) -> None:
    """Refuse a checkpoint that does not load safely, before a runner loads it.

    Only the structure is read; the tensors' data stay on the disk. Remote files
    ('https://', 'torchvision://', ...) are left to MMEngine, under
    :func:`keep_loading_safe`, and so are the folders that DeepSpeed writes.

    Args:
        path: The file.
        key: The config key or argument it was given under, for messages.
        resume: Whether training is to continue from it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or names something that is not allowed, or cannot
            be resumed from.
    """
    if is_elsewhere(path):
        return
    checkpoint = read_checkpoint(path, f'{key}={path!r}')
    if resume:
        _check_resumable(checkpoint, f'{key}={path!r}')


def is_elsewhere(path: str) -> bool:
    """Tell what is left to MMEngine: remote files, and the folders of DeepSpeed."""
    return '://' in path or path.startswith('s3:') or os.path.isdir(path)


def read_checkpoint(path: str, said: str) -> Any:
    """Load the structure of a checkpoint, or say what is wrong with the file.

    Args:
        path: A local file.
        said: What the user typed, for messages.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedCheckpointError: It is cut short or no checkpoint at all.
        ValueError: It names something that is not allowed.
    """
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise RefusedFileError(
            f'{said}: no such file (looked for {os.path.abspath(path)!r}). Give the '
            'path of a checkpoint (.pth).'
        )
    try:
        return torch.load(path, map_location='meta', weights_only=True)
    except pickle.UnpicklingError as error:
        raise RefusedValueError(_unsafe(str(error), said)) from error
    except Exception as error:  # a damaged file can fail anywhere in the reader
        raise DamagedCheckpointError(
            f'{said} is damaged, cut short, or not a checkpoint written by torch.save '
            f'({_first_line(error)}). Copy or download it again, or give an earlier '
            'checkpoint.'
        ) from error


def _unsafe(reason: str, said: str) -> str:
    """Word the refusal of a file that holds more than tensors and numbers."""
    found = re.search(r'GLOBAL ([\w.]+)', reason)
    if found is None:
        return (
            f'{said} is not a checkpoint that torch can load safely '
            f'({_first_line(reason)}). Give a file written by torch.save.'
        )
    return (
        f'{said} was refused: loading it would call {found[1]!r}, which is not among '
        'the tensors and numbers that a checkpoint consists of, and can run any code. '
        'Do not use this file unless you know why it holds that; ask its author for '
        "one with the weights only ({'state_dict': model.state_dict()})."
    )


def _check_resumable(checkpoint: Any, said: str) -> None:
    """Refuse weights without the state that resuming needs."""
    missing = [
        part
        for part in ('meta', 'message_hub', 'state_dict')
        if not isinstance(checkpoint, Mapping) or part not in checkpoint
    ]
    if missing:
        raise RefusedValueError(
            f'{said} holds no {" and no ".join(map(repr, missing))}, so training '
            'cannot resume from it. Give a checkpoint that training saved; to start '
            'from weights, use --cfg-options load_from=FILE without --resume.'
        )


def _first_line(reason: object) -> str:
    """The first line of a reader's message, without torch's advice and colours."""
    text = str(reason).rpartition('WeightsUnpickler error:')[2].strip()
    name = type(reason).__name__ if isinstance(reason, Exception) else ''
    return ': '.join(filter(None, (name, text.splitlines()[0][:200] if text else '')))
