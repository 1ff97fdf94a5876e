"""Values of label maps, as tools write them."""

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.data_checks import label_maps, label_values
from dropblock_mm.data_checks.label_maps import LabelRule, check_label_map
from dropblock_mm.data_checks.label_values import UNUSED, value_problems

THREE = ('ground', 'cat', 'dog')


def judged(values, classes=THREE, trains=True, **options):
    found = value_problems(set(values), LabelRule(classes, **options), trains)
    return [(kind, text) for kind, text in found if kind is not UNUSED]


@pytest.mark.parametrize('count', range(3, 21))
@pytest.mark.parametrize('take', [round, int])
def test_values_spread_over_the_greys(count, take):
    """As most tools write them to be looked at; the advice brings the indices back."""
    classes = tuple(f'c{i}' for i in range(count))
    values = [take(i * 255 / (count - 1)) for i in range(count)]
    ((kind, text),) = judged(values, classes, ignored=256)
    assert kind is label_values.SPREAD
    step = float(text.rpartition('STEP is ')[2])
    assert [round(value / step) for value in values] == list(range(count))


@pytest.mark.parametrize(
    ('values', 'options', 'kind'),
    [
        ([0, 1, 2], {}, None),
        ([0, 1, 255], {}, None),
        ([0, 1], {}, None),
        ([0, 255], {}, label_values.FOREGROUND_IGNORED),
        ([0], {}, label_values.BACKGROUND_ALONE),
        ([0], dict(trains=False), None),
        ([255], {}, label_values.NO_CLASS),
        ([0, 255], dict(reduce_zero_label=True), label_values.NO_CLASS),
        ([0, 1, 2, 3], dict(reduce_zero_label=True), None),
        ([1, 2, 3], {}, label_values.FROM_ONE),
        ([0, 1, 2, 3], {}, label_values.FROM_ONE),
        ([0, 1, 2, 254], dict(ignored=254), None),
        ([0, 40, 80], {}, label_values.SPREAD),
        ([0, 127, 254], {}, label_values.SPREAD),
        ([0, 1, 300], {}, label_values.DEEP),
    ],
)
def test_values(values, options, kind):
    trains = options.pop('trains', True) if options else True
    found = judged(values, trains=trains, **options)
    assert [k for k, _ in found] == ([kind] if kind else [])


def picture(mode, path):
    labels = np.array([[0, 1], [2, 1]], np.uint8)
    if mode in ('RGB', 'RGBA'):
        image = Image.fromarray(labels).convert(mode)
    elif mode == 'F':
        image = Image.fromarray(labels.astype(np.float32) + np.float32(np.nan))
    elif mode == 'I;16':
        image = Image.fromarray(labels.astype(np.uint16))
    else:
        image = Image.fromarray(labels).convert(mode)
    image.save(path)
    return str(path)


@pytest.mark.parametrize(
    ('mode', 'suffix', 'kind'),
    [
        ('L', '.png', None),
        ('I;16', '.png', None),
        ('RGB', '.png', label_maps.GREY_IN_COLOUR),
        ('RGBA', '.png', label_maps.GREY_IN_COLOUR),
        ('F', '.tif', label_maps.FRACTIONS),
        ('1', '.png', None),
    ],
)
def test_files(tmp_path, mode, suffix, kind):
    path = picture(mode, tmp_path / f'a{suffix}')
    found = check_label_map(path, (2, 2), LabelRule(THREE))
    assert [k for k, _ in found.problems] == ([kind] if kind else [])


def test_colours_are_no_indices(tmp_path):
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = (128, 0, 0)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    found = check_label_map(str(tmp_path / 'a.png'), (2, 2), LabelRule(THREE))
    assert [kind for kind, _ in found.problems] == [label_maps.COLOURED]
