"""The commands that take trained models, from the command line to their files."""

import dataclasses
import json

import pytest
import torch
from PIL import Image

from dropblock_mm.analysis.figures.predictions import short_names
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


def test_predictions_go_on_where_they_were_interrupted(
    load_tool, small_run, data, tmp_path, monkeypatch, capsys
):
    from dropblock_mm.analysis.trained import predictions

    images = [data / f'images/{name}.png' for name in range(3)]
    out, asked = tmp_path / 'out', []
    words = [*map(str, images), '--model', small_run('mmpretrain'), 'one']
    words += ['--out-dir', str(out)]
    original = predictions._classifier

    def interrupted(*args):
        predict = original(*args)

        def once(path):
            asked.append(path)
            if len(asked) == 3:
                raise KeyboardInterrupt
            return predict(path)

        return once

    monkeypatch.setattr(predictions, '_classifier', interrupted)
    with pytest.raises(SystemExit, match='130'):
        load_tool('predict').main(words)
    assert 'the same command goes on: ' in capsys.readouterr().err
    told = json.loads((out / 'one/predictions.json').read_text())
    assert list(told) == ['0000_0.png', '0001_1.png']
    # Two are known; of one of these the picture was lost.
    (out / 'one/0000_0.png').unlink()
    load_tool('predict').main(words)
    assert asked[3:] == [images[0], images[2]]
    told = json.loads((out / 'one/predictions.json').read_text())
    assert len(told) == 3
    rows = read_record(out / 'predictions.json').tables[0].rows
    assert [row[1] for row in rows] == [entry['told'] for entry in told.values()]
    # Of another model nothing is known.
    words[words.index('--model') + 1] = small_run('mmpretrain', 1)
    load_tool('predict').main(words)
    assert asked[5:] == images


def test_files_of_one_name_are_told_apart():
    assert short_names(['a/1.png', 'b/2.png']) == ['1.png', '2.png']
    assert short_names(['x/a/1.png', 'b/1.png']) == ['a/1.png', 'b/1.png']
    assert short_names(['a/1.png', 'a/1.png']) == ['1.png', '1.png']


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


def test_maps_that_no_model_got_right_are_said_to_be_compared_by_none(
    load_tool, small_run, tmp_path, monkeypatch, capsys
):
    from dropblock_mm.analysis.activation_maps import measured

    def wrong(image, measure=measured.measure):
        return dataclasses.replace(measure(image), comparable=False)

    monkeypatch.setattr(measured, 'measure', wrong)
    words = ['--model', small_run('mmpretrain'), '--out', str(tmp_path / 'maps.png')]
    load_tool('activation_maps').main([*words, '--show', '1', '--limit', '2'])
    assert 'No image was got right by every model' in capsys.readouterr().out


def test_maps_go_on_where_they_were_interrupted(
    load_tool, small_run, tmp_path, monkeypatch, capsys
):
    from dropblock_mm.analysis.activation_maps import compare

    out, asked = tmp_path / 'maps.png', []
    words = ['--model', small_run('mmpretrain'), 'one', '--out', str(out)]
    words += ['--show', '2']
    explain = compare.explain

    def interrupted(trained, example, *how):
        asked.append(example.path)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return explain(trained, example, *how)

    monkeypatch.setattr(compare, 'explain', interrupted)
    with pytest.raises(SystemExit, match=r'^130$'):
        load_tool('activation_maps').main(words)
    said = capsys.readouterr().err
    assert 'interrupted: 3 of 6 images' in said
    assert 'interrupted; the same command goes on: ' in said.splitlines()[-1]
    record = read_record(tmp_path / 'maps.json')
    assert record.notes[-1] == 'Interrupted after 3 of 6 images.'
    assert len(asked) == 4 + 2, 'and two that are shown'
    load_tool('activation_maps').main(words)
    assert len(asked) == 6 + 3 + 2
    assert asked[3] == asked[6]
    whole = read_record(tmp_path / 'maps.json')
    assert len(whole.notes) == 1
    out.with_suffix('.json').unlink()
    load_tool('activation_maps').main(words)
    assert len(asked) == 11 + 6 + 2
    assert read_record(tmp_path / 'maps.json') == whole
    # Another layer is another question.
    load_tool('activation_maps').main([*words, '--layer', 'backbone.layer3'])
    assert len(asked) == 19 + 6 + 2


def test_robustness_goes_on_where_it_was_interrupted(
    load_tool, small_run, tmp_path, monkeypatch, capsys
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
    with pytest.raises(SystemExit, match='130'):
        load_tool('robustness').main(words)
    assert 'the same command goes on: ' in capsys.readouterr().err
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


def test_robustness_needs_no_point_without_dropblock(load_tool, small_run, tmp_path):
    out, run = tmp_path / 'r.png', small_run('mmpretrain')
    words = ['--model', run, '--out', str(out), '--seeds', '1']
    words += ['--block-sizes', '1', '2', '--keep-probs', '0.8']
    load_tool('robustness').main(words)  # the first is written without the second
    (table,) = json.loads(out.with_suffix('.json').read_text())['tables']
    assert [row[1:3] for row in table['rows']] == [['1', '0.8'], ['2', '0.8']]
