"""The commands masks and plot-schedule on a small config."""

import json

import pytest
from PIL import Image

from dropblock_mm.analysis.figures.record import read_record
from dropblock_mm.testing.toy import TOY_CONFIG
from dropblock_mm.testing.training_logs import made_up_rows, write_log

HOOKS = """
custom_hooks = [
    dict(type='dropblock_mm.DropBlockInjectionHook', block_size=3,
         targets=[dict(module='backbone.layer3', gamma_scale=0.25),
                  dict(module='backbone.layer4')]),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.8)]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(TOY_CONFIG + HOOKS)
    return str(path)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / 'image.jpg'
    Image.new('RGB', (50, 40), 'green').save(path)
    return str(path)


@pytest.mark.parametrize('ends', [('png', 'gif'), ('svg', 'webp')])
def test_masks_are_drawn_and_move(load_tool, config, image, tmp_path, ends):
    out, moving = (tmp_path / f'new/masks.{end}' for end in ends)
    load_tool('masks').main(
        [config, image, '--input-size', '96', '128']
        + ['--out', str(out), '--animation', str(moving)]
    )
    assert out.stat().st_size > 1000
    with Image.open(moving) as frames:
        assert frames.n_frames > 10
    record = read_record(out.with_suffix('.json'))
    assert (record.figure, record.picture) == ('masks', out.name)
    kinds, strip = record.tables
    assert [r[0] for r in kinds.rows] == ['backbone.layer3', 'backbone.layer4']
    assert [r[2] for r in kinds.rows] == ['32 x 6 x 8', '64 x 3 x 4']
    assert [r[0] for r in strip.rows][::5] == ['1.0000', '0.8000']
    assert 'backbone.layer4, 3 x 4' in record.alt
    assert '--input-size 96 128' in record.command


def test_the_schedule_is_drawn_with_the_log(load_tool, config, tmp_path):
    write_log(tmp_path / 'run', '20200131_235959', made_up_rows())
    out = tmp_path / 'schedule.png'
    load_tool('plot_schedule').main(
        [config, '--out', str(out), '--work-dir', str(tmp_path / 'run')]
        + ['--num-images', '40', '--input-size', '96', '128']
    )
    record = read_record(out.with_suffix('.json'))
    assert record.alt.startswith('keep_prob over 60 iterations.')
    assert record.tables[0].rows[-1][0] == 'backbone.layer4, 3 x 4'
    assert record.tables[0].rows[-1][-1] == '0.9000', 'what was logged last'
    assert json.loads(out.with_suffix('.json').read_text())['schema'] == 1


def test_what_cannot_be_done_is_refused(refused, config, image, tmp_path):
    (tmp_path / 'broken.jpg').write_text('no image')
    broken = refused('masks', config, str(tmp_path / 'broken.jpg'))
    assert 'cannot be read as an image' in broken
    assert 'absent.jpg' in refused('masks', config, str(tmp_path / 'absent.jpg'))
    assert 'ends in' in refused('masks', config, image, '--out', 'a.txt')
    assert '.webp' in refused('masks', config, image, '--animation', 'a.mp4')
    assert 'no */vis_data' in refused(
        'plot_schedule', config, '--work-dir', str(tmp_path)
    )
