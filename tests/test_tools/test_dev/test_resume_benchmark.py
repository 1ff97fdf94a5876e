import re

import pytest
import torch

from dropblock_mm.runs.checkpoints import safe_loading as safe
from tools.dev import resume_benchmark


@pytest.fixture(autouse=True)
def safe_globals(monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    monkeypatch.setattr(resume_benchmark, 'keep_loading_safe', lambda: None)
    torch.serialization.add_safe_globals(safe.mmengine_globals())


def test_it_prints_each_way_and_the_share(shared_data, capsys):
    root = shared_data / 'voc2012_mini/VOCdevkit/VOC2012'
    options = ['--iteration', '3', '--batch-size', '2', '--workers', '0']
    resume_benchmark.main([str(root), *options])
    said = capsys.readouterr().out
    for way in resume_benchmark.WAYS:
        assert re.search(rf'{way} +\d+\.\d\d s of processor time to the first', said)
    assert re.search(r'resuming at iteration 3 adds .* with MMEngine, .* of it', said)
