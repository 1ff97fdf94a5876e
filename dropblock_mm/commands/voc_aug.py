"""Make the augmented training set of VOC 2012 segmentation: 10,582 + 1,449 images.

The annotations that SBD (Hariharan et al., ICCV 2011) adds to PASCAL VOC 2012 become
label maps, and lists of names, in the layout that mmseg's config
_base_/datasets/pascal_voc12_aug.py expects::

    VOCDEVKIT/VOC2012/
      SegmentationClassAug/NAME.png              all images of trainaug
      ImageSets/Segmentation/{aug,trainaug}.txt  SBD's, and those with VOC's train

No image of VOC's val is in them. An interrupted run goes on where it stopped: files
appear whole, and the lists last, once every label map of trainaug and val is sound.

Examples::

    python tools/dataset_converters/voc_aug.py data/VOCdevkit data/benchmark_RELEASE
    python tools/dataset_converters/voc_aug.py VOCDEVKIT SBD -o data/VOC2012_aug
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from rich.console import Console
from rich.progress import track

from dropblock_mm.data_checks.name_lists import read_names
from dropblock_mm.datasets.voc_aug import check_label_map, encode, read_label_map
from dropblock_mm.errors import RefusedError

# Of the complete sets, as Ghiasi et al. (2018) train and evaluate for their Table 4.
FULL = {'trainaug': 10_582, 'val': 1_449}
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


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Make the augmented training set of VOC 2012 segmentation'
    )
    parser.add_argument('devkit', type=Path, help='VOCdevkit, which holds VOC2012/')
    parser.add_argument(
        'sbd', type=Path, help='benchmark_RELEASE, which holds dataset/cls/'
    )
    parser.add_argument(
        '-o',
        '--out',
        type=Path,
        help='make a VOC2012 folder here, which links to the images, and write nothing '
        'into the devkit',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=min(os.cpu_count() or 1, 8),
        help='processes; 0 for none (default: %(default)s)',
    )
    return parser.parse_args(argv)


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
    train, val, *sbd_lists = (read_names(str(file)) for file in files)
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
    names: Sequence[str], work: Callable[[str], str], workers: int, description: str
) -> list[str]:
    """Do the work for all names, with a progress bar on stderr; return its flaws."""
    show = partial(
        track, description=description, total=len(names), console=Console(stderr=True)
    )
    if workers < 1:
        return [flaw for flaw in show(map(work, names)) if flaw]
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(work, names, chunksize=_CHUNK)
        return [flaw for flaw in show(found) if flaw]


def convert_all(split: Split, voc: Path, sbd: Path, out: Path, workers: int) -> None:
    """Write all label maps to train on, and look at those to evaluate on.

    Raises:
        ConversionError: Some cannot be used; the others are there.
    """
    work = partial(convert, voc=voc, sbd=sbd, out=out)
    flaws = find_flaws(split.trainaug, work, workers, 'trainaug')
    flaws += find_flaws(split.val, partial(inspect, voc=voc), workers, 'val')
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


def make(devkit: Path, sbd: Path, out: Path | None, workers: int) -> tuple[Split, Path]:
    """Convert; see the module."""
    voc = devkit / 'VOC2012'
    sbd = sbd / 'dataset' if (sbd / 'dataset').is_dir() else sbd
    split, folder = read_split(voc, sbd), out or voc
    (folder / AUGMENTED).mkdir(parents=True, exist_ok=True)
    (folder / LISTS).mkdir(parents=True, exist_ok=True)
    for part in (folder / AUGMENTED).glob('.*.part'):  # of a run that was killed
        part.unlink()
    if not folder.samefile(voc):
        link_devkit(voc, folder)
    convert_all(split, voc, sbd, folder, workers)
    for name, members in (('aug', split.aug), ('trainaug', split.trainaug)):
        text = ''.join(f'{member}\n' for member in members)
        write_whole(folder / LISTS / f'{name}.txt', text.encode())
    return split, folder


def counts_told(split: Split) -> str:
    """Compare the numbers with those of the complete sets."""
    found = {'trainaug': len(split.trainaug), 'val': len(split.val)}
    if found == FULL:
        return 'All 10,582 + 1,449 images of the complete sets.'
    return (
        f'warning: {found["trainaug"]:,} images to train on (trainaug) and '
        f'{found["val"]:,} to evaluate on (val), where the complete sets have 10,582 '
        'and 1,449. Fine for a subset, otherwise look for what is missing.'
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Convert as the command line says; 1 if something is missing."""
    args = parse_args(argv)
    try:
        split, folder = make(args.devkit, args.sbd, args.out, args.workers)
    except (ConversionError, OSError) as flaw:
        print(f'error: {flaw}', file=sys.stderr)
        return 1
    print(
        f'{len(split.train)} train, {len(split.aug)} aug, {len(split.val)} val, '
        f'{len(split.trainaug)} trainaug in {folder}'
    )
    print(counts_told(split))
    return 0


if __name__ == '__main__':
    sys.exit(main())
