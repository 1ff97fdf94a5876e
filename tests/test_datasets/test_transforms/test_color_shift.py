"""Shifts of colours: by the formula, within their ranges, reproducible."""

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

from dropblock_mm.datasets.transforms import ColorShift


def shifted(pixel, drawn, monkeypatch):
    """What becomes of one pixel when this is drawn."""
    monkeypatch.setattr(np.random, 'uniform', lambda low, high: np.array(drawn))
    image = np.full((2, 3, 3), pixel, np.uint8)
    return ColorShift()(dict(img=image))['img']


@pytest.mark.parametrize(
    ('drawn', 'expected'),
    [
        ((10.0, 0.0, 0.0), (110, 110, 110)),
        # Cb is blue less green: 1.772 and -0.344136 of it.
        ((0.0, 20.0, 0.0), (135, 93, 100)),
        # Cr is red less green: 1.402 and -0.714136 of it.
        ((0.0, 0.0, -20.0), (100, 114, 72)),
    ],
)
def test_each_shift(drawn, expected, monkeypatch):
    out = shifted(100, drawn, monkeypatch)
    assert out.dtype == np.uint8
    assert (out == expected).all()


def test_bytes_end_at_their_ends(monkeypatch):
    assert (shifted(250, (32.0, 0.0, 0.0), monkeypatch) == 255).all()
    assert (shifted(5, (-32.0, 0.0, 0.0), monkeypatch) == 0).all()


def test_it_draws_within_the_ranges_for_each_image():
    np.random.seed(0)
    transform = ColorShift(chroma=0.0)
    image = np.full((2, 2, 3), 128, np.uint8)
    values = [transform(dict(img=image))['img'][0, 0, 0].item() for _ in range(300)]
    assert min(values) >= 96
    assert max(values) <= 160
    assert np.mean(values) == pytest.approx(128, abs=5)
    assert len({*values}) > 30
    assert (image == 128).all(), 'the array that was given is not written to'


def test_a_config_names_it():
    built = TRANSFORMS.build(dict(type='dropblock_mm.ColorShift', brightness=8))
    assert repr(built) == 'ColorShift(brightness=8.0, chroma=25.5)'


@pytest.mark.parametrize('options', [dict(brightness=-1), dict(chroma=300)])
def test_ranges_that_are_none_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f'{name}=.*ColorShift'):
        ColorShift(**options)
