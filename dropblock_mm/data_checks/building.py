"""Has the thorough check build what no layout knows, and look at it as training does.

The quick check, at the start of a training, leaves such data sets to
:mod:`dropblock_mm.data_checks.loaded`; the two look by the same functions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from dropblock_mm.data_checks.build_errors import naming_bad_data
from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.layouts import Look
from dropblock_mm.data_checks.layouts.base import NOT_LOCAL, UNKNOWN
from dropblock_mm.data_checks.loaded import data_flaws
from dropblock_mm.data_checks.problems import UNUSABLE, Problem, warning
from dropblock_mm.errors import RefusedError
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses

NOT_BUILT = warning(
    'data set that was not built, because that would write a file of the sizes of all '
    'images beside them',
    'Its annotations, images and boxes are left to training, which looks at them '
    'before its first iteration and may refuse them then. With the file, which the '
    'first training writes, the check looks at them too.',
)


def built_flaws(
    config: Mapping[str, Any], seen: Sequence[tuple[DataSetEntry, Look]]
) -> Iterator[Problem]:
    """Build the data of loops with a type that is unknown here, and look at them.

    A loop that something else is wrong with is left out: training stops there first.

    Args:
        config: The whole config, as a dict.
        seen: All data sets, with what a look found.

    Yields:
        Problem: What training would refuse before its first iteration.
    """
    whole = Config(dict(config))
    before: list[Any] = []
    for loop in dict.fromkeys(entry.loop for entry, _ in seen):
        own = [(entry, look) for entry, look in seen if entry.loop == loop]
        kinds = {kind for _, look in own for kind, _ in look.problems}
        stopped = any(kind.is_error or kind == NOT_LOCAL for kind in kinds)
        if UNKNOWN not in kinds or stopped:
            continue
        writers = [entry for entry, _ in own if _writes(entry)]
        yield from ((NOT_BUILT, f'{entry.key}: {entry.type}') for entry in writers)
        dataset = whole[f'{loop}_dataloader'].dataset
        if writers or dataset in before:
            continue
        before.append(dataset)
        yield from ((UNUSABLE, text) for text in _flaws(whole, loop))


def _writes(entry: DataSetEntry) -> bool:
    """Whether mmdet's class opens every image and keeps the sizes in a file."""
    if entry.layout != 'CrowdHumanDataset' or entry.options.get('extra_ann_file'):
        return False
    split = 'train' if 'train' in os.path.basename(entry.options['ann_file']) else 'val'
    root = entry.root.path if entry.root else ''
    return not os.path.isfile(os.path.join(root, f'id_hw_{split}.json'))


def _flaws(whole: Config, loop: str) -> list[str]:
    key = f'{loop}_dataloader'
    try:
        with refusing_what_mmengine_refuses(whole), naming_bad_data(whole, [loop]):
            dataset = DATASETS.build(whole[key].dataset)
            if hasattr(dataset, 'full_init'):
                dataset.full_init()
    except RefusedError as error:
        return [str(error)]
    return data_flaws({key: dataset})
