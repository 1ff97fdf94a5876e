"""What a map costs beside a prediction: the ratio that is told, and the status."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tools.dev import time_maps


@pytest.mark.parametrize(('ratios', 'status'), [((1.1, 1.5), 0), ((1.1, 1.51), 1)])
def test_the_largest_ratio_decides(monkeypatch, capsys, ratios, status):
    asked = []
    found = dict(zip(('a', 'b'), ratios, strict=True))

    def stock_model(name, size):
        asked.append((name, size))
        return name

    monkeypatch.setattr(time_maps, 'stock_model', stock_model)
    monkeypatch.setattr(time_maps, 'measure', lambda name, *_: (2.0, found[name]))
    assert time_maps.main(['a', 'b', '--size', '64', '32']) == status
    assert asked == [('a', (64, 32)), ('b', (64, 32))]
    assert '1.10 of  2.000 s  a' in capsys.readouterr().out


def test_a_prediction_and_a_map_are_timed_in_pairs(monkeypatch, tmp_path):
    calls = []

    def model(**batch):
        calls.append(batch['mode'])

    trained = SimpleNamespace(model=model, library='mmdet')
    monkeypatch.setattr(time_maps, 'user_pipeline', lambda trained: None)
    monkeypatch.setattr(time_maps, 'own_example', lambda *_: 'example')
    monkeypatch.setattr(time_maps, 'batch_of', lambda *_: {})
    monkeypatch.setattr(time_maps, 'explain', lambda *_: calls.append('map'))
    clock = iter([0, 2, 2, 5, 5, 6, 6, 8, 8, 12, 12, 18])
    monkeypatch.setattr(time_maps.time, 'process_time', lambda: next(clock))
    # Pairs of 2 and 3, 1 and 2, 4 and 6 seconds.
    assert time_maps.measure(trained, tmp_path, 3, np.ones((2, 2), bool)) == (2, 1.5)
    assert calls == ['predict', 'map'] * 4


def test_images_get_smaller_and_every_box_is_kept():
    steps = [
        {'type': 'Resize', 'scale': (1333, 800)},
        {'type': 'TestTimeAug', 'transforms': [[{'type': 'Resize', 'scale': (9, 9)}]]},
        {'type': 'Pad', 'scale': (1, 1)},
    ]
    time_maps._resize_to((256, 160), steps)
    assert steps[0]['scale'] == (256, 160)
    assert steps[1]['transforms'][0][0]['scale'] == (256, 160)
    assert steps[2]['scale'] == (1, 1)
    test_cfg = {'rcnn': {'score_thr': 0.05, 'nms': {'iou_threshold': 0.5}}}
    time_maps._keep_all_boxes(test_cfg)
    assert test_cfg == {'rcnn': {'score_thr': 0.0, 'nms': {'iou_threshold': 0.5}}}


def test_rtmdets_boxes_have_a_size():
    model = torch.nn.ModuleDict(
        {'rtm_reg': torch.nn.Conv2d(1, 4, 1), 'rtm_cls': torch.nn.Conv2d(1, 4, 1)}
    )
    before = model['rtm_cls'].bias.clone()
    time_maps._give_boxes_a_size(model)
    assert model['rtm_reg'].bias.tolist() == [1] * 4
    assert torch.equal(model['rtm_cls'].bias, before)
