"""Looks at the files that a config names, before training spends time on them.

Every problem is reported under the config key that names the file, all of them in
one message.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config

from dropblock_mm.data_checks.agreement import class_count_problems, images_of_others
from dropblock_mm.data_checks.annotations import (
    BoxKinds,
    Finding,
    Problem,
    VocNames,
    coco_problems,
    tally,
    voc_problems,
)
from dropblock_mm.data_checks.json_files import (
    PARSED_BYTES,
    forget_json,
    json_flaw,
    read_json,
)
from dropblock_mm.data_checks.listed_files import listed_files, may_be_absent, used
from dropblock_mm.data_checks.paths import (
    DataPath,
    DataSetConfig,
    datasets_of,
    evaluator_paths,
)

_LISTED = 3


def check_data(cfg: Config, loops: Sequence[str]) -> None:
    """Find missing and broken data files, and annotations that cannot be used.

    What is odd but does no harm, say boxes that the data set leaves out, is counted
    in a line on stderr. Images are not decoded, and of annotation files above 32 MiB
    only the ends are read: tools/misc/check_dataset.py looks at everything.

    Args:
        cfg (Config): The whole config.
        loops: Which of 'train', 'val' and 'test' are going to run.

    Raises:
        ValueError: If there are any problems.
    """
    config = cfg.to_dict()
    problems = [problem for loop in loops for problem in _of_loop(config, loop)]
    forget_json()  # training needs the memory
    if problems:
        raise refusal(problems)


def refusal(problems: Iterable[str]) -> ValueError:
    """Put problems, each under its config key, into one error."""
    lines = list(dict.fromkeys(problems))
    return ValueError(
        '\n  '.join(['the data that the config names cannot be used:', *lines])
        + '\nChange these keys in the config or by --cfg-options KEY=VALUE.'
    )


def _of_loop(config: Mapping[str, Any], loop: str) -> Iterator[str]:
    """The problems of one loop: those of its data sets and its evaluator."""
    for dataset in datasets_of(config, loop):
        yield from _of_dataset(dataset)
    yield from evaluator_problems(config, loop)
    yield from class_count_problems(config, loop)


def evaluator_problems(config: Mapping[str, Any], loop: str) -> Iterator[str]:
    """Look at the files that a loop's metrics read."""
    for path in evaluator_paths(config, loop):
        flaws = list(_of_annotations(path, PARSED_BYTES))
        yield from flaws or images_of_others(config, loop, path)


def _of_dataset(dataset: DataSetConfig) -> Iterator[str]:
    """The problems of one data set; what it lists only if the rest is there."""
    problems = path_problems(dataset)
    # Without a list of names, a folder is one.
    names = dataset.path('ann_file') or dataset.path('data_prefix', 'img_path')
    if not problems and names:
        problems += [names.problem(*flaw) for flaw in _of_listed_files(dataset)]
        if not problems:
            findings = tally(annotation_problems(dataset))
            errors = [found for found in findings if found.kind.is_error]
            _warn(dataset, [found for found in findings if not found.kind.is_error])
            problems += [names.problem(e.text, e.kind.remedy) for e in errors]
    yield from problems


def path_problems(
    dataset: DataSetConfig, parsed_bytes: int = PARSED_BYTES
) -> list[str]:
    """Look at the annotation file and the folders, not at what is in them.

    Args:
        dataset: Of any type.
        parsed_bytes (int): Of larger JSON files only the ends are read.

    Returns:
        list[str]: Each under the key that is to blame.
    """
    problems = list(_of_classes(dataset))
    annotations = dataset.path('ann_file')
    if annotations:
        problems += _of_annotations(annotations, parsed_bytes)
        if not problems and dataset.layout == 'CocoDataset':
            problems += _of_coco_file(annotations, parsed_bytes)
    for folder in dataset.folders():
        problems += _of_folder(folder)
    return problems


def _of_classes(dataset: DataSetConfig) -> Iterator[str]:
    """A tuple of one that lacks its comma is read letter by letter."""
    given = dataset.config.get('metainfo')
    classes = given.get('classes') if isinstance(given, Mapping) else None
    if isinstance(classes, str) and not os.path.isfile(classes):
        yield (
            f'{dataset.key}.metainfo.classes={classes!r}: neither a file of names nor '
            f'a tuple of them. For one class write ({classes!r},).'
        )


def _of_annotations(annotations: DataPath, parsed_bytes: int) -> Iterator[str]:
    path = annotations.path
    if not os.path.exists(path):
        yield annotations.problem('no such file', 'Give the annotation file.')
    elif os.path.isfile(path) and os.path.getsize(path) == 0:
        yield annotations.problem('the file is empty', 'Copy or download it again.')
    elif path.endswith('.json'):
        yield from json_problems(annotations, parsed_bytes)


def json_problems(annotations: DataPath, parsed_bytes: int) -> Iterator[str]:
    """Look whether a JSON file is whole; of a larger one, only at its ends."""
    flaw = json_flaw(annotations.path, parsed_bytes)
    if flaw:
        yield annotations.problem(
            f'not complete JSON, {flaw}', 'Copy or download it again.'
        )


def _of_coco_file(annotations: DataPath, parsed_bytes: int) -> Iterator[str]:
    """Valid JSON that is something else, say a list of results."""
    if os.path.getsize(annotations.path) > parsed_bytes:
        return
    content = read_json(annotations.path)
    lists = content if isinstance(content, dict) else {}
    missing = [key for key in ('images', 'categories') if key not in lists]
    if missing:
        yield annotations.problem(
            f'not a COCO annotation file, it holds no {" and no ".join(missing)}',
            'Give the file with the instances.',
        )


def _of_folder(folder: DataPath) -> Iterator[str]:
    if not os.path.isdir(folder.path):
        yield folder.problem('no such folder', 'Give the folder of the files.')
    elif next(os.scandir(folder.path), None) is None:
        yield folder.problem('the folder is empty', 'Give the folder of the files.')


def _of_listed_files(dataset: DataSetConfig) -> Iterator[tuple[str, str]]:
    """Files that are named and not there, or that nothing is named; and a remedy."""
    for what, paths in listed_files(dataset).items():
        if not paths:
            yield f'no {what} in it', 'Give the list, or the folder, of the data.'
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing and not may_be_absent(dataset, what):
            yield (
                f'it names {_count(missing, what)} that are not there',
                'Complete the data set, or correct data_prefix or this file.',
            )


def _count(paths: Sequence[str], what: str) -> str:
    shown = ', '.join(map(repr, paths[:_LISTED]))
    return f'{len(paths)} {what} ({shown}{", ..." if len(paths) > _LISTED else ""})'


def annotation_problems(
    dataset: DataSetConfig, parsed_bytes: int = PARSED_BYTES
) -> Iterator[Problem]:
    """Look through the annotations, COCO's or VOC's.

    Args:
        dataset: One without :func:`path_problems`.
        parsed_bytes (int): Larger JSON files are left out.

    Yields:
        Problem: Each with the place where it is.
    """
    annotations = dataset.path('ann_file')
    if annotations is None:
        return
    if dataset.annotation_format == 'CocoDataset':
        if os.path.getsize(annotations.path) <= parsed_bytes:
            yield from coco_problems(read_json(annotations.path), dataset.classes)
    elif dataset.layout == dataset.annotation_format == 'XMLDataset':
        names = VocNames(dataset.classes)
        smallest = (dataset.config.get('filter_cfg') or {}).get('bbox_min_size') or 0
        kinds = BoxKinds.of(dataset.trains, smallest)
        for path in used(dataset, listed_files(dataset)['XML files']):
            if os.path.isfile(path):
                yield from voc_problems(path, names, kinds)
        yield from names.problems()


def _warn(dataset: DataSetConfig, findings: Sequence[Finding]) -> None:
    """Say in a line what is odd; one process of a machine speaks."""
    if findings and os.environ.get('LOCAL_RANK', '0') == '0':
        counts = ', '.join(f'{found.count} {found.kind.title}' for found in findings)
        print(
            f'warning: {dataset.key}: {counts}. '
            'tools/misc/check_dataset.py names them.',
            file=sys.stderr,
            flush=True,
        )
