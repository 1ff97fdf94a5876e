"""Label maps that cannot be used are named, and nothing is said to be complete."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dropblock_mm.datasets.layouts import voc_palette


def labels(number):
    return np.full((6, 8), number, dtype=np.uint8)


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (None, 'e.mat'),
        (labels(30), 'are no labels of VOC'),
        (labels(1)[1:], 'but the image has (8, 6)'),
        ('cut', 'e.mat: '),
    ],
)
def test_bad_annotations_are_named(made, capsys, content, said):
    path = made.sbd / 'cls/e.mat'
    whole = path.read_bytes()
    path.unlink()
    if isinstance(content, str):
        path.write_bytes(whole[:200])
    elif content is not None:
        savemat(path, {'GTcls': {'Segmentation': content}})
    assert made.convert() == 1
    printed = capsys.readouterr().err
    assert '1 of 7 label maps cannot be used' in printed
    assert said in printed
    assert not (made.lists / 'trainaug.txt').exists()


def coloured(number, like):
    """A label map with the palette of VOC, but one class in another's colour."""
    image = Image.fromarray(labels(number))
    palette = voc_palette()
    palette[number] = palette[like]
    image.putpalette(palette.tobytes())
    return image


@pytest.mark.parametrize('name', ['a', 'c'])
@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (coloured(1, 1).convert('RGB'), 'RGB, a picture in colour'),
        (coloured(1, 2), '1 in the colour of 2'),
        (Image.fromarray(labels(77)), '[77] are no labels of VOC'),
        (Image.fromarray(labels(1)[1:]), '(8, 5) pixels, but the image has (8, 6)'),
        ('cut', 'a.png: image file is truncated'),
        (None, 'No such file'),
    ],
    ids=['colour', 'palette', 'beyond', 'size', 'cut', 'missing'],
)
def test_bad_label_maps_of_voc_are_named(made, capsys, name, content, said):
    """Of an image to train on, and of one to evaluate on."""
    path = made.voc / f'SegmentationClass/{name}.png'
    whole = path.read_bytes()
    path.unlink()
    if content == 'cut':
        path.write_bytes(whole[:45])  # in the midst of the pixels
    elif content is not None:
        content.save(path)
    assert made.convert() == 1
    printed = capsys.readouterr().err
    assert '1 of 7 label maps cannot be used' in printed
    assert said.replace('a.png', path.name) in printed
    assert f'/{name}.' in printed
    assert not (made.lists / 'trainaug.txt').exists()


@pytest.mark.parametrize('border', [voc_palette()[255], (0, 0, 0)], ids=str)
def test_a_palette_that_is_voc_s_or_nobody_s_will_do(made, border):
    image = coloured(1, 1)
    image.putpixel((0, 0), 255)
    palette = voc_palette()
    palette[255] = border
    palette[1] = (9, 9, 9)
    image.putpalette(palette.tobytes())
    image.save(made.voc / 'SegmentationClass/a.png')
    assert made.convert() == 0
