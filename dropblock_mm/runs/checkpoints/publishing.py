"""Makes of a checkpoint a file of weights that any torch and any library loads.

Since 2.6 ``torch.load`` reads tensors and plain containers only, and what a Runner
saves is more than that, so that the libraries' own tools and inferencers stop at it.
What they need of it is plain: the weights, and the names of the classes.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.checkpoints.safe_loading import read_checkpoint
from dropblock_mm.runs.checkpoints.whole_files import write_whole

EMA = 'ema_state_dict'
_EMA_PREFIX = 'module.'
_DIGITS = 8  # of the hash in a name, as torch.hub and OpenMMLab's tools write it


def plain(value: Any) -> Any:
    """Return a value as numbers, text, lists, tuples and dicts; the rest as text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        kind = list if isinstance(value, list) else tuple
        return kind(plain(inner) for inner in value)
    return str(value)


def published(content: Any, *, ema: bool | None, said: str) -> dict[str, Any]:
    """Return what is published of a checkpoint.

    A checkpoint of a run with EMAHook holds its two kinds of weights under each other's
    names (mmengine 0.10.7, ``EMAHook.before_save_checkpoint``): ``state_dict`` has the
    average, so that whatever loads the file gets it, and ``ema_state_dict`` the weights
    that the optimizer left.

    Args:
        content: What was loaded.
        ema: True asks for averaged weights, False for those that the optimizer left;
            None takes what MMEngine loads for a test, averaged if there is an average.
        said: What the user typed, for messages.

    Raises:
        RefusedValueError: There are no such weights.
    """
    holder = content if isinstance(content, Mapping) else {}
    if ema and EMA not in holder:
        raise RefusedValueError(
            f'{said} has no averaged weights ({EMA!r}): it was trained without '
            'EMAHook. Leave --ema out.'
        )
    if ema is False and EMA in holder:
        weights = {
            key.removeprefix(_EMA_PREFIX): value
            for key, value in holder[EMA].items()
            if key.startswith(_EMA_PREFIX)
        }
    else:
        weights = holder.get('state_dict', holder)
    tensors = OrderedDict(
        (key, value.detach().cpu().clone())
        for key, value in weights.items()
        if isinstance(value, torch.Tensor)
    )
    if not tensors:
        raise RefusedValueError(f'{said} holds no weights. Give a checkpoint (.pth).')
    meta = holder.get('meta') or {}
    kept = {k: meta[k] for k in ('dataset_meta', 'epoch', 'iter') if k in meta}
    return {'state_dict': tensors, 'meta': plain(kept)}


def publish(source: str, out: Path | None, *, ema: bool | None = None) -> Path:
    """Write the weights of a checkpoint, and the classes.

    Args:
        source: The checkpoint.
        out: The file; None writes NAME-HASH.pth beside the checkpoint, as OpenMMLab
            names published files.
        ema: Which weights, as in :func:`published`.

    Returns:
        Path: What was written. Bare ``torch.load`` reads it.

    Raises:
        RefusedError: The checkpoint cannot be read, or lacks what is asked for.
    """
    said = f'checkpoint {source!r}'
    read_checkpoint(source, said)
    content = torch.load(source, map_location='cpu', weights_only=True)
    buffer = io.BytesIO()
    torch.save(published(content, ema=ema, said=said), buffer)
    data = buffer.getvalue()
    if out is None:
        digest = hashlib.sha256(data).hexdigest()[:_DIGITS]
        out = Path(source).with_name(f'{Path(source).stem}-{digest}.pth')
    if out.resolve() == Path(source).resolve():
        raise RefusedValueError(
            f'{str(out)!r} is the checkpoint itself, which training resumes from. Give '
            'another name.'
        )
    write_whole(data, out)
    return out
