"""The commands that take trained models, from the command line to their files."""

import json
import shutil

import pytest
import torch
from PIL import Image

from dropblock_mm.analysis.figures.record import read_record
from dropblock_mm.testing.small_models import write_images, write_model


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    write_images(root / 'set')
    return root / 'set'


@pytest.fixture(scope='module')
def small_run(tmp_path_factory, data):
    root, made = tmp_path_factory.mktemp('runs'), {}

    def make(library, seed=0):
        pytest.importorskip(library)
        key = f'{library}_{seed}'
        if key not in made:
            made[key] = write_model(root / key, library, data, seed)
        return str(made[key])

    return make


@pytest.mark.parametrize('library', ['mmdet', 'mmseg', 'mmpretrain'])
def test_models_predict_side_by_side(load_tool, small_run, data, tmp_path, library):
    out = tmp_path / 'out'
    load_tool('predict').main(
        [str(data / 'images/0.png'), str(data / 'images/1.png')]
        + ['--model', small_run(library), 'one', '--model', small_run(library), 'two']
        + ['--out-dir', str(out), '--score-thr', '0']
    )
    record = read_record(out / 'predictions.json')
    assert record.figure == 'predictions'
    assert record.tables[0].headings == ['image', 'one', 'two']
    assert [row[0] for row in record.tables[0].rows] == ['0.png', '1.png']
    assert all(row[1] == row[2] for row in record.tables[0].rows)
    told = json.loads((out / 'one/predictions.json').read_text())
    assert list(told) == ['0000_0.png', '0001_1.png']
    with Image.open(out / 'one/0000_0.png') as drawn:
        assert drawn.size == (80, 64)
    keys = {'mmdet': 'bboxes', 'mmseg': 'shares', 'mmpretrain': 'class'}
    assert keys[library] in told['0000_0.png']


def test_stock_inferencers_take_what_is_published(load_tool, small_run, data, tmp_path):
    run = small_run('mmseg')
    out = tmp_path / 'model.pth'
    load_tool('publish').main([f'{run}/epoch_1.pth', str(out)])
    torch.serialization.clear_safe_globals()
    from mmseg.apis import MMSegInferencer

    found = MMSegInferencer(f'{run}/config.py', str(out))(str(data / 'images/0.png'))
    assert found['predictions'].shape == (64, 80)


def test_maps_of_two_models(load_tool, small_run, tmp_path, capsys):
    out = tmp_path / 'maps.png'
    load_tool('activation_maps').main(
        ['--model', small_run('mmpretrain'), 'one']
        + ['--model', small_run('mmpretrain', 1), 'two']
        + ['--out', str(out), '--show', '2', '--limit', '4']
    )
    record = read_record(tmp_path / 'maps.json')
    assert record.alt.startswith('Activation maps of one, two over')
    assert out.stat().st_size > 1000
    assert 'wrote' in capsys.readouterr().out


def test_robustness_goes_on_where_it_was_interrupted(
    load_tool, small_run, tmp_path, monkeypatch
):
    from dropblock_mm.analysis import robustness

    out, run = tmp_path / 'r.png', small_run('mmpretrain')
    words = ['--model', run, '--out', str(out), '--seeds', '2']
    words += ['--block-sizes', '1', '2', '--keep-probs', '0.8', '1']
    evaluate, calls = robustness.evaluate, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*args)

    monkeypatch.setattr(robustness, 'evaluate', interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_tool('robustness').main(words)
    record = read_record(tmp_path / 'r.json')
    assert len(record.numbers['points']) == 2
    assert 'Not finished.' in record.notes
    load_tool('robustness').main(words)
    assert len(calls) == 3 + 3, 'of five, two were known'
    record = read_record(tmp_path / 'r.json')
    assert 'Not finished.' not in record.notes
    assert [r[1:3] for r in record.tables[0].rows] == [
        ['1', '0.8'],
        ['1', '1'],
        ['2', '0.8'],
        ['2', '1'],
    ]
    load_tool('robustness').main([*words, '--keep-probs', '1'])
    assert len(calls) == 6, 'a grid of one point that is known'
    assert out.is_file()


def test_bad_input_is_one_message(refused, small_run, data, tmp_path):
    run, image = small_run('mmpretrain'), str(data / 'images/0.png')
    other = small_run('mmseg')
    (tmp_path / 'broken.png').write_text('no image')
    (tmp_path / 'empty').mkdir()
    broken, empty = str(tmp_path / 'broken.png'), str(tmp_path / 'empty')
    assert 'cannot be read as an image' in refused('predict', broken, '--model', run)
    assert 'holds no images' in refused('predict', empty, '--model', run)
    assert 'no config' in refused('predict', image, '--model', empty)
    said = refused(
        'predict', image, '--model', f'{run}/config.py', f'{other}/epoch_1.pth'
    )
    assert 'of another model' in said
    said = refused('activation_maps', '--model', run, '--layer', 'backbone.layer9')
    assert 'Did you mean' in said
    said = refused('activation_maps', '--model', run, '--images', broken)
    assert 'cannot be read as an image' in said
    assert 'two models are called' in refused(
        'robustness', '--model', run, '--model', run
    )
    shutil.copy(f'{run}/config.py', tmp_path / 'empty/config.py')
    assert 'no checkpoint' in refused('robustness', '--model', empty)
