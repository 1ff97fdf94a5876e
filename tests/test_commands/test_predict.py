"""The commands that take trained models, from the command line to their files."""

import json

import pytest
import torch
from PIL import Image

from dropblock_mm.analysis.figures.record import read_record


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
    load_tool('robustness').main([*words, '--keep-probs', '0.8'])
    assert len(calls) == 6, 'a smaller grid, of points that are known'
    assert out.is_file()
