"""The augmented training set of VOC 2012 segmentation, made from VOC and SBD.

Files appear whole, and the lists last, once every label map of trainaug and val is
sound.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from dropblock_mm.datasets.pool import done_in_order
from dropblock_mm.datasets.voc_aug import check_label_map, encode, read_label_map
from dropblock_mm.errors import RefusedError

Progress = Callable[[Iterable[str]], Iterable[str]]
LISTS = Path('ImageSets/Segmentation')
MASKS = Path('SegmentationClass')
AUGMENTED = Path('SegmentationClassAug')
_CHUNK = 16


class ConversionError(RefusedError):
    """Something that the user has to mend."""


class Split(NamedTuple):
    """Names of images, each list without repetitions."""

    train: list[str]
    val: list[str]
    aug: list[str]

    @property
    def trainaug(self) -> list[str]:
        """All to train on."""
        return sorted([*self.train, *self.aug])


def split_names(train: Iterable[str], val: Iterable[str], sbd: Iterable[str]) -> Split:
    """Divide the images.

    Args:
        train: VOC's list.
        val: VOC's list; none of these is trained on.
        sbd: All that SBD annotates, VOC's val among them.

    Returns:
        Split: SBD's images that are in neither of VOC's lists are ``aug``.
    """
    kept = sorted(set(train) - set(val))
    return Split(kept, sorted(set(val)), sorted(set(sbd) - set(kept) - set(val)))


def read_split(voc: Path, sbd: Path) -> Split:
    """Read VOC's and SBD's lists.

    Raises:
        ConversionError: One of them is not there.
    """
    files = [voc / LISTS / 'train.txt', voc / LISTS / 'val.txt']
    files += [sbd / 'train.txt', sbd / 'val.txt']
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise ConversionError(
            f'no {", no ".join(missing)}. Give the folder that holds VOC2012/, then '
            'the one that holds dataset/train.txt, dataset/val.txt and dataset/cls/.'
        )
    train, val, *sbd_lists = (
        file.read_text(encoding='utf-8').split() for file in files
    )
    return split_names(train, val, [name for names in sbd_lists for name in names])


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is never seen in part, however the program ends."""
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def is_whole(path: Path) -> bool:
    """Tell whether a PNG is there and not cut short, say by another converter."""
    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError):
        return False
    return True


def convert(name: str, voc: Path, sbd: Path, out: Path) -> str:
    """Write the label map of one image, unless it is there; return what is wrong."""
    path = out / AUGMENTED / f'{name}.png'
    if is_whole(path):
        return ''
    official, mat = voc / MASKS / f'{name}.png', sbd / 'cls' / f'{name}.mat'
    # VOC's own are finer than SBD's of the same image, and have borders.
    is_official = official.is_file()
    source = official if is_official else mat
    try:
        labels = read_label_map(source)
        check_label_map(labels, image_size(voc, name))
        write_whole(path, source.read_bytes() if is_official else encode(labels))
    except Exception as flaw:  # scipy and Pillow raise many kinds
        return f'{source}: {flaw}'
    return ''


def inspect(name: str, voc: Path) -> str:
    """Return what is wrong with VOC's label map of an image, to evaluate on it."""
    path = voc / MASKS / f'{name}.png'
    try:
        check_label_map(read_label_map(path), image_size(voc, name))
    except Exception as flaw:  # as above
        return f'{path}: {flaw}'
    return ''


def image_size(voc: Path, name: str) -> tuple[int, int]:
    """Return (width, height) of an image."""
    with Image.open(voc / 'JPEGImages' / f'{name}.jpg') as image:
        return image.size


def find_flaws(
    names: Sequence[str], work: Callable[[str], str], workers: int, show: Progress
) -> list[str]:
    """Do the work for all names; return its flaws."""
    found = done_in_order(work, names, workers, _CHUNK)
    return [flaw for flaw in show(found) if flaw]


def convert_all(
    split: Split,
    voc: Path,
    sbd: Path,
    out: Path,
    workers: int,
    progress: Callable[[str, int], Progress],
) -> None:
    """Write all label maps to train on, and look at those to evaluate on.

    Raises:
        ConversionError: Some cannot be used; the others are there.
    """
    work = partial(convert, voc=voc, sbd=sbd, out=out)
    show = progress('trainaug', len(split.trainaug))
    flaws = find_flaws(split.trainaug, work, workers, show)
    show = progress('val', len(split.val))
    flaws += find_flaws(split.val, partial(inspect, voc=voc), workers, show)
    if flaws:
        more = f'\n  and {len(flaws) - 5} more' if len(flaws) > 5 else ''
        raise ConversionError(
            f'{len(flaws)} of {len(split.trainaug) + len(split.val)} label maps cannot '
            'be used:\n  '
            + '\n  '.join(flaws[:5])
            + f'{more}\nComplete the data and run this again.'
        )


def link_devkit(voc: Path, out: Path) -> None:
    """Give another folder what else a VOC2012 has: images, label maps and lists."""
    for name in (Path('JPEGImages'), MASKS):
        link = out / name
        if not link.exists():
            link.unlink(missing_ok=True)  # of a devkit that has moved
            link.symlink_to((voc / name).resolve(), target_is_directory=True)
    for list_name in ('train.txt', 'val.txt'):
        shutil.copyfile(voc / LISTS / list_name, out / LISTS / list_name)


def make(
    devkit: Path,
    sbd: Path,
    out: Path | None,
    workers: int,
    progress: Callable[[str, int], Progress] = lambda what, total: iter,
) -> tuple[Split, Path]:
    """Make label maps and lists; an interrupted conversion goes on.

    Args:
        devkit: Holds VOC2012/.
        sbd: Holds dataset/, or is it.
        out: A VOC2012 folder to make, instead of adding to the devkit's.
        workers: Processes; 0 for none.
        progress: Given what is done and how often, what shows that it is being done:
            it passes on what it iterates over.

    Returns:
        tuple[Split, Path]: The names, and the VOC2012 folder that has all.

    Raises:
        ConversionError: Something is missing or cannot be used.
    """
    voc = devkit / 'VOC2012'
    sbd = sbd / 'dataset' if (sbd / 'dataset').is_dir() else sbd
    split, folder = read_split(voc, sbd), out or voc
    (folder / AUGMENTED).mkdir(parents=True, exist_ok=True)
    (folder / LISTS).mkdir(parents=True, exist_ok=True)
    for part in (folder / AUGMENTED).glob('.*.part'):  # of a run that was killed
        part.unlink()
    if not folder.samefile(voc):
        link_devkit(voc, folder)
    convert_all(split, voc, sbd, folder, workers, progress)
    for name, members in (('aug', split.aug), ('trainaug', split.trainaug)):
        text = ''.join(f'{member}\n' for member in members)
        write_whole(folder / LISTS / f'{name}.txt', text.encode())
    return split, folder
