"""Pictures that EXIF turns, and what tells how they were annotated."""

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.data_checks import images, label_maps
from dropblock_mm.data_checks.images import Loader
from dropblock_mm.data_checks.jobs import Job, do, mirrored_as_turned
from dropblock_mm.data_checks.label_maps import LabelRule


def photo(path, orientation=None, size=(20, 30)):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return str(path)


def kinds(path, **options):
    return [
        kind for kind, _ in do(Job(path, **{'loader': Loader()} | options)).problems
    ]


@pytest.mark.parametrize('orientation', [None, *range(1, 9)])
def test_orientations(tmp_path, orientation):
    path = photo(tmp_path / 'a.jpg', orientation)
    stored, upright = (30, 20), (20, 30)
    if orientation in (2, 3, 4):
        assert kinds(path, size=stored) == [images.MIRRORED]
        assert kinds(path) == []  # of a class of images
    elif orientation in (5, 6, 7, 8):
        assert kinds(path, size=stored) == [images.TURNED]
        assert kinds(path, size=upright) == [images.UPRIGHT]
    else:
        assert kinds(path, size=stored) == []
    as_stored = Loader(color_type='color_ignore_orientation')
    assert kinds(path, size=stored, loader=as_stored) == []


@pytest.mark.parametrize('orientation', [None, *range(1, 9)])
def test_squares(tmp_path, orientation):
    """Turned by a quarter they keep their size, so that it does not tell."""
    path = photo(tmp_path / 'a.jpg', orientation, size=(20, 20))
    unknown = orientation in range(2, 9)
    assert kinds(path, size=(20, 20)) == ([images.MIRRORED] if unknown else [])
    assert kinds(path) == []  # of a class of images


def test_label_maps_are_mirrored_too(tmp_path):
    path = photo(tmp_path / 'a.jpg', 3)
    Image.fromarray(np.eye(30, dtype=np.uint8)[:20]).save(tmp_path / 'a.png')
    options = dict(label_map=str(tmp_path / 'a.png'), rule=LabelRule(('a', 'b')))
    assert kinds(path, **options) == [images.MIRRORED]


@pytest.mark.parametrize(
    ('others', 'expected'),
    [
        ([], images.MIRRORED),
        ([images.UPRIGHT], images.UPRIGHT),
        ([images.UPRIGHT, images.TURNED], images.MIRRORED),
        ([images.UPRIGHT, label_maps.OTHER_SIZE], images.MIRRORED),
    ],
)
def test_others_tell_how_they_were_annotated(others, expected):
    found = mirrored_as_turned([(kind, 'b') for kind in [*others, images.MIRRORED]])
    assert found[-1] == (expected, 'b')
