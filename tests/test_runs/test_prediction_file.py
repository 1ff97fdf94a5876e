"""What a classifier predicted, as a file."""

import json

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS

from dropblock_mm.runs.prediction_file import PredictionFile


def samples():
    scores = torch.tensor([[0.2, 0.8], [0.7, 0.3]])
    return [
        dict(
            img_path=f'{i}.jpg',
            gt_label=torch.tensor([1]),
            pred_label=scores[i].argmax(0, keepdim=True),
            pred_score=scores[i],
        )
        for i in range(2)
    ]


def test_predictions_are_written(tmp_path):
    metric = METRICS.build(
        dict(type='dropblock_mm.PredictionFile', outfile_prefix=str(tmp_path / 'a/val'))
    )
    evaluator = Evaluator([metric])
    evaluator.process(data_samples=samples())
    assert evaluator.evaluate(2) == {}
    first, second = json.loads((tmp_path / 'a/val.json').read_text())
    assert first == dict(image='0.jpg', label=1, predicted=1, score=pytest.approx(0.8))
    assert (second['predicted'], second['score']) == (0, pytest.approx(0.7))


def test_nothing_is_kept_without_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metric = PredictionFile()
    metric.process(None, samples())
    assert metric.results == []
    assert metric.evaluate(2) == {}
    assert list(tmp_path.iterdir()) == []
