"""Says of which images an iteration was that failed, or which one did not load."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm.programs import typed

# What mmcv's LoadImageFromFile says. Out of a worker process it comes last, behind a
# traceback that quotes the line of code.
_UNLOADED = re.compile(r'failed to load image: (.+)')


class _BatchHook(Hook):
    """Keeps the samples of the iteration that is running."""

    def __init__(self) -> None:
        self.samples: Sequence[Any] = ()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        found = (
            data_batch.get('data_samples') if isinstance(data_batch, Mapping) else ()
        )
        self.samples = found if isinstance(found, (list, tuple)) else ()

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        self.samples = ()


@contextmanager
def naming_failed_batch(runner: Runner) -> Iterator[None]:
    """Name on stderr the images of an iteration that raised an error, or the one.

    A loss that meets a label without an output says so in an IndexError, on a GPU by
    'device-side assert triggered', and never where the label is from.

    Args:
        runner (Runner): One that has not begun. The error passes as it is.
    """
    hook = _BatchHook()
    runner.register_hook(hook, priority='HIGHEST')
    try:
        yield
    except Exception as error:
        lines = [_described(sample) for sample in hook.samples]
        named = '\n  '.join(line for line in lines if line)
        unloaded = _UNLOADED.findall(str(error))
        if unloaded:
            _say(
                f'{unloaded[-1]!r} is damaged, or no image. Copy or download it again.'
            )
        elif named:
            _say(f'the iteration that failed had\n  {named}')
        raise


def _say(text: str) -> None:
    print(
        f'error: {text}\n{typed("check-dataset")} looks into all files.',
        file=sys.stderr,
        flush=True,
    )


def _described(sample: Any) -> str:
    """Name an image and, of semantic segmentation, the label map and its values."""
    path = getattr(sample, 'img_path', '')
    label_map = getattr(sample, 'seg_map_path', None)
    if not path or not label_map or 'gt_sem_seg' not in sample:
        return str(path)
    values = sample.gt_sem_seg.data.unique().tolist()
    # 255 stands for no class in both libraries.
    last = max((value for value in values if value != 255), default=None)
    return f'{path}, {label_map}: {len(values)} values, the largest {last}'
