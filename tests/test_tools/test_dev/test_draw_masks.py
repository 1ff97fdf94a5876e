"""The pictures of the guide: real files, with the package's numbers in them."""

import importlib
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from dropblock_mm import drop_block_2d, expected_keep_rate
from dropblock_mm.layers.schedules import keep_prob_at, resolve_interval

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / 'tools' / 'dev' / 'draw_masks.py'
MOST_BYTES = 150_000  # each; they are part of the repository
PICTURES = ('block_sizes', 'photo', 'schedules', 'keep_rates')


@pytest.fixture(scope='module')
def script():
    """The names of the script and of its parts."""
    names = runpy.run_path(str(SCRIPT))
    for part in ('style', 'masks', 'photo', 'curves'):
        module = importlib.import_module(f'dropblock_mm.analysis.figures.{part}')
        names |= vars(module)
    return names


@pytest.fixture(scope='module')
def pictures(script):
    pytest.importorskip('sklearn')
    with script['house_style']():
        return {name: script['PICTURES'][name](script['SEED']) for name in PICTURES}


def test_the_command_writes_every_picture_and_says_its_numbers(
    tmp_path, script, pictures, capsys
):
    script['main'](['--out', str(tmp_path / 'new' / 'folder')])
    said = capsys.readouterr().out
    for name in PICTURES:
        path = tmp_path / 'new' / 'folder' / f'{name}.png'
        assert f'{path}\n  ' + '\n  '.join(pictures[name].lines) in said
        with Image.open(path) as image:
            image.load()
            size = image.size
        inches = pictures[name].figure.get_size_inches()
        assert size == tuple((inches * script['DPI']).round().astype(int))
        assert path.stat().st_size < MOST_BYTES


def test_a_part_can_be_drawn(tmp_path, script):
    script['main'](['--out', str(tmp_path), '--only', 'schedules'])
    assert [path.name for path in tmp_path.iterdir()] == ['schedules.png']


def test_an_unknown_picture_is_refused_with_the_known_ones(tmp_path, script, capsys):
    with pytest.raises(SystemExit):
        script['main'](['--out', str(tmp_path), '--only', 'mask'])
    said = capsys.readouterr().err
    assert "'mask'" in said
    assert all(name in said for name in PICTURES)


@pytest.mark.parametrize('name', PICTURES)
def test_the_committed_pictures_are_those_the_command_draws(
    name, script, pictures, tmp_path
):
    """Coarsely: glyphs differ between versions of Matplotlib, masks must not."""
    path = ROOT / 'docs' / 'en' / '_static' / f'{name}.png'
    script['save_small'](pictures[name].figure, tmp_path / 'drawn.png')
    with Image.open(path) as kept, Image.open(tmp_path / 'drawn.png') as drawn:
        assert kept.size == drawn.size
        change = ImageChops.difference(kept.convert('L'), drawn.convert('L'))
    assert np.asarray(change.reduce(5)).mean() < 1
    assert path.stat().st_size < MOST_BYTES


def test_titles_say_the_rates_of_masks_that_the_op_draws(script, pictures):
    panels = pictures['block_sizes'].figure.axes
    shape = (1, script['CHANNELS'], script['MAP_SIZE'], script['MAP_SIZE'])
    for axes, block_size in zip(panels, script['BLOCK_SIZES'], strict=True):
        kept = drop_block_2d(
            torch.ones(shape),
            keep_prob=script['KEEP_PROB'],
            block_size=block_size,
            generator=torch.Generator().manual_seed(script['SEED']),
        ).bool()
        expected = expected_keep_rate(
            keep_prob=script['KEEP_PROB'], block_size=block_size, feature_size=shape[2:]
        )
        assert axes.get_title().endswith(
            f'nominal {script["KEEP_PROB"]:.3f}, expected {expected:.3f}, '
            f'drawn {kept.float().mean():.3f}'
        )
        shown = [image.get_array() for image in axes.get_images()]
        assert len(shown) == script['CHANNELS']
        for channel, plane in enumerate(shown):
            assert (plane == kept[0, channel].numpy()).all()


def test_one_seed_drops_the_block_below_and_right_of_it(script):
    kept = script['one_block']((20, 30), 7, (4, 5))
    dropped = (~kept).nonzero()
    assert len(dropped) == 7 * 7
    assert dropped.min(0).values.tolist() == [4, 5]
    assert dropped.max(0).values.tolist() == [10, 11]


def test_masks_over_the_photograph_hide_what_the_titles_say(pictures):
    for axes in pictures['photo'].figure.axes[1:]:
        photo, dropped = axes.get_images()
        assert photo.get_array().shape[0] > dropped.get_array().shape[0]
        kept = dropped.get_array().mask.mean()  # units without paint
        assert f'kept: {kept:.3f} of the units' in axes.get_title()


def test_the_photograph_says_what_it_needs(script, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.datasets', None)
    with pytest.raises(ModuleNotFoundError, match=r'scikit-learn.*--only'):
        script['load_photo']()


def test_schedules_are_those_of_the_hook(script, pictures):
    panels = pictures['schedules'].figure.axes
    max_iters = script['MAX_ITERS']
    for axes, (begin, end) in zip(panels, script['INTERVALS'], strict=True):
        interval = resolve_interval(begin, end, 'fraction', max_iters, 1)
        for line in (line for line in axes.get_lines() if line.get_label()[0] != '_'):
            expected = [
                keep_prob_at(i, interval, start=1, end=0.9, schedule=line.get_label())
                for i in range(max_iters)
            ]
            assert line.get_ydata().tolist() == pytest.approx(expected)
    assert axes.get_xlabel().startswith('iteration')


def test_keep_rates_are_the_exact_ones(script, pictures):
    panels = pictures['keep_rates'].figure.axes
    for axes, calibrated in zip(panels, (False, True), strict=True):
        for line, block_size in zip(axes.lines, script['RATE_BLOCKS'], strict=True):
            assert line.get_label() == f'block_size {block_size}'
            nominal, rates = line.get_data()
            for x, y in zip(nominal[::10], rates[::10], strict=True):
                options = dict(calibrated=calibrated)
                expected = expected_keep_rate(
                    keep_prob=x,
                    block_size=block_size,
                    feature_size=script['RATE_MAP'],
                    **options,
                )
                assert y == expected
            if calibrated:
                assert rates.tolist() == pytest.approx(nominal.tolist())
