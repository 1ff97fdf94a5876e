"""The embedded data set: handwritten digits on photographs, in two layouts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from mmengine.logging import print_log
from PIL import Image

from dropblock_mm.datasets import cache
from dropblock_mm.datasets.layouts import (
    coco_annotation,
    coco_categories,
    voc_label_map,
    voc_palette,
)
from dropblock_mm.datasets.rendering import Scene, render_scene
from dropblock_mm.datasets.sources import (
    SPLITS,
    Sources,
    load_sources,
    split_digits,
    split_photo,
)
from dropblock_mm.errors import RefusedValueError

# To be raised with every change that makes other scenes from the same settings.
GENERATOR_VERSION = 1
LAYOUT = ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation', 'annotations')


@dataclass(frozen=True)
class Settings:
    """All that the scenes depend on: same settings, same bytes."""

    WHAT: ClassVar[str] = 'digit scenes'
    SMALLEST: ClassVar[dict[str, int]] = {
        'num_train': 1,
        'num_val': 1,
        'image_size': 64,
        'seed': 0,
    }
    LAYOUT: ClassVar[tuple[str, ...]] = LAYOUT

    num_train: int
    num_val: int
    image_size: int
    seed: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low = self.SMALLEST[field.name]
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise RefusedValueError(
                    f'{field.name}={value!r} of the {self.WHAT} must be an integer '
                    f'of at least {low}'
                )

    def recipe(self) -> dict[str, Any]:
        """Return the settings and the generator's version, for the manifest."""
        return {'generator': GENERATOR_VERSION, **asdict(self)}


def make_digit_scenes(
    root: str | os.PathLike[str] = 'data/digit_scenes',
    *,
    num_train: int = 2000,
    num_val: int = 200,
    image_size: int = 128,
    seed: int = 0,
) -> Path:
    """Make sure that ``root`` holds the scenes, in COCO's and in VOC's layout.

    Handwritten digits (scikit-learn's ``load_digits``) lie in random size, colour
    and position on photographs (its ``load_sample_images``). No digit and no part
    of a photograph is in both splits. The same settings give the same bytes::

        root/
          JPEGImages/{train,val}_NNNNNN.jpg       the scenes, for both layouts
          annotations/instances_{train,val}.json  COCO: boxes, areas, RLE masks
          SegmentationClass/{train,val}_NNNNNN.png   VOC: palette, 255 at borders
          ImageSets/Segmentation/{train,val,trainval}.txt
          manifest.json                           size and hash of every file

    A complete folder is verified and left alone; an incomplete or damaged one is
    made again.

    Args:
        root: The folder, made if missing.
        num_train: Number of scenes to train on.
        num_val: Number of scenes to evaluate on.
        image_size: Side of the square scenes in pixels, 64 or more.
        seed: Decides everything that is random.

    Returns:
        Path: ``root``.

    Raises:
        ValueError: If a setting is outside its range, or if ``root`` holds scenes
            made with other settings.
        FileExistsError: If ``root`` holds something else.
        ModuleNotFoundError: If scikit-learn is not installed.
    """
    settings = Settings(num_train, num_val, image_size, seed)
    return make(Path(root), settings, write_scenes)


S = TypeVar('S', bound=Settings)


def make(root: Path, settings: S, write: Callable[[Path, S, Sources], None]) -> Path:
    """Make a folder of scenes or images, if it is not there.

    Args:
        root: The folder.
        settings: What is to be in it.
        write: Fills an empty folder.

    Returns:
        Path: ``root``.
    """
    if cache.is_complete(root, settings.recipe()):
        return root
    check_replaceable(root, settings)
    print_log(f'Making the {settings.WHAT} in {root} ...', logger='current')
    sources = load_sources()
    cache.remake(
        root, settings.recipe(), lambda folder: write(folder, settings, sources)
    )
    numbers = f'{settings.num_train} + {settings.num_val}'
    print_log(f'Made {numbers} {settings.WHAT} in {root}', logger='current')
    return root


def check_replaceable(root: Path, settings: Settings) -> None:
    """Refuse to overwrite what is not a broken copy of these very scenes or images.

    Raises:
        ValueError: If ``root`` holds such made with other settings.
        FileExistsError: If ``root`` holds something else.
    """
    made_with = cache.read_manifest(root).get('recipe', {})
    for name, value in asdict(settings).items():
        if made_with.get(name, value) != value:
            raise RefusedValueError(
                f'{name}={value!r} was asked for, but the {settings.WHAT} in {root} '
                f'were made with {name}={made_with[name]!r}. Use the same settings '
                'everywhere, give another root, or delete that folder.'
            )
    ours = {Path(folder).parts[0] for folder in settings.LAYOUT} | {cache.MANIFEST}
    found = {path.name for path in root.iterdir()} if root.is_dir() else set()
    if (root.exists() and not root.is_dir()) or found - ours:
        raise FileExistsError(
            f'root={str(root)!r} holds something other than {settings.WHAT} '
            f'({", ".join(sorted(found - ours)) or "a file"}). Give another root.'
        )


def write_scenes(folder: Path, settings: Settings, sources: Sources) -> None:
    """Write all scenes and both layouts into an empty folder."""
    for name in LAYOUT:
        (folder / name).mkdir(parents=True)
    names = {split: write_split(folder, split, settings, sources) for split in SPLITS}
    for image_set, members in {
        **names,
        'trainval': [name for split in SPLITS for name in names[split]],
    }.items():
        path = folder / 'ImageSets' / 'Segmentation' / f'{image_set}.txt'
        path.write_text('\n'.join(members) + '\n', encoding='utf-8')


def write_split(
    folder: Path, split: str, settings: Settings, sources: Sources
) -> list[str]:
    """Write the scenes of one split.

    Returns:
        The scenes' names, without a suffix.
    """
    coco: dict[str, list[dict[str, Any]]] = {
        'images': [],
        'annotations': [],
        'categories': coco_categories(),
    }
    names = []
    for index, scene in enumerate(render_split(split, settings, sources)):
        name = f'{split}_{index:06d}'
        names.append(name)
        write_images(folder, name, scene, sources.labels[scene.digits])
        coco['images'].append(
            {
                'id': index,
                'file_name': f'{name}.jpg',
                'height': settings.image_size,
                'width': settings.image_size,
            }
        )
        for mask, digit in zip(scene.masks, scene.digits.tolist(), strict=True):
            coco['annotations'].append(
                coco_annotation(
                    mask,
                    # pycocotools takes an annotation of id 0 for no match.
                    annotation_id=len(coco['annotations']) + 1,
                    image_id=index,
                    label=int(sources.labels[digit]),
                    digit=digit,
                )
            )
    path = folder / 'annotations' / f'instances_{split}.json'
    path.write_text(json.dumps(coco), encoding='utf-8')
    return names


def render_split(split: str, settings: Settings, sources: Sources) -> Iterator[Scene]:
    """Draw the scenes of one split, one after the other.

    A scene depends on the seed and on its own number, not on how many there are.
    """
    digits = split_digits(sources.labels, settings.seed)[split]
    photos = [split_photo(photo, split) for photo in sources.photos]
    number = settings.num_train if split == 'train' else settings.num_val
    for index in range(number):
        rng = np.random.default_rng([settings.seed, SPLITS.index(split), index])
        yield render_scene(sources, digits, photos, settings.image_size, rng)


def write_images(folder: Path, name: str, scene: Scene, labels: np.ndarray) -> None:
    """Write a scene's JPEG and its label map as a palette PNG."""
    Image.fromarray(scene.image).save(
        folder / 'JPEGImages' / f'{name}.jpg', quality=95, subsampling=0
    )
    label_map = Image.fromarray(voc_label_map(scene.masks, labels.tolist()))
    label_map.putpalette(voc_palette().tobytes())
    label_map.save(folder / 'SegmentationClass' / f'{name}.png')
