"""The pages whose code is run as a user would: in files of their own."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from dropblock_mm import DropBlock2d, ScheduledDrop
from dropblock_mm.layers import LAYERS
from dropblock_mm.testing.toy import toy_classifier, toy_runner

DOCS = Path(__file__).resolve().parents[1] / 'docs/en'


def code_of(page):
    text = (DOCS / f'{page}.md').read_text()
    return re.findall(r'^```py\n(.*?)^```', text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The blocks of the page after the first, which is a file that can be imported."""
    layer, *rest = code_of('own_regulariser')
    (tmp_path / 'drop_rows.py').write_text(layer)
    monkeypatch.syspath_prepend(tmp_path)
    yield rest
    sys.modules.pop('drop_rows', None)
    LAYERS.pop('DropRows', None)


def test_the_layer_takes_20_lines():
    layer, *_ = code_of('own_regulariser')
    assert len([line for line in layer.splitlines() if line]) <= 20


def test_the_layer_is_attached_from_python_and_scheduled(page):
    model = toy_classifier()
    names = {'model': model}
    exec(page[0], names)
    layers = [site.layer for site in names['sites']]
    assert layers
    assert {repr(layer) for layer in layers} == {'DropRows(keep_prob=0.8, height=3)'}
    model.train()
    model.backbone(torch.randn(4, 3, 32, 32))
    assert all(0 < layer.kept_units <= layer.seen_units for layer in layers)
    assert any(layer.kept_units < layer.seen_units for layer in layers)


def test_the_layer_is_attached_from_a_config_scheduled_and_logged(page, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(page[1])
    cfg = Config.fromfile(str(config))
    runner = toy_runner(tmp_path / 'run', cfg.custom_hooks)
    runner.train()
    kinds = {type(m).__name__ for m in runner.model.modules()}
    assert 'DropRows' in kinds
    log = Path(runner.log_dir, 'vis_data/scalars.json').read_text()
    rows = [json.loads(line) for line in log.splitlines()]
    assert rows[-1]['keep_prob'] == pytest.approx(0.8)
    assert {'effective_keep_rate', 'target_keep_rate.backbone.layer3'} <= set(rows[-1])


def test_the_layers_own_test_passes(page):
    names = {}
    exec(page[2], names)
    torch.manual_seed(0)
    names['test_keeps_what_it_expects_and_counts_it']()


def test_the_layer_is_named_in_refusals(page):
    layer = importlib.import_module('drop_rows').DropRows
    with pytest.raises(ValueError, match='height=0 is below 1'):
        layer(keep_prob=0.5, height=0)
    assert torch.equal(
        layer(keep_prob=0.0)(torch.ones(2, 2, 4, 4)), torch.zeros(2, 2, 4, 4)
    )


@pytest.mark.parametrize('backend', ['eager', 'aot_eager'])
def test_the_layer_compiles_while_its_rate_changes(backend, page):
    torch.compiler.reset()
    layer = importlib.import_module('drop_rows').DropRows(keep_prob=0.5)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    for step in range(5):
        layer.set_keep_prob(0.9 - 0.1 * step)
        layer.reset_count()
        out = compiled(torch.ones(4, 2, 8, 8))
        assert layer.kept_units.item() == (out != 0).sum().item()


def test_monte_carlo_drops_at_test_time_and_leaves_the_norms_alone():
    (code,) = code_of('plain_pytorch')
    names = {}
    exec(code, names)
    drop = DropBlock2d(keep_prob=0.8, block_size=3)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), drop, nn.ReLU())
    before = model[1].running_mean.clone()
    x = torch.randn(2, 3, 16, 16)
    mean, deviation = names['monte_carlo'](model, x, times=8)
    assert mean.shape == deviation.shape == (2, 4, 16, 16)
    assert (deviation > 0).any()
    assert torch.equal(model[1].running_mean, before)
    assert not any(m.training for m in model.modules())
    assert not any(isinstance(m, ScheduledDrop) and m.training for m in model.modules())
    assert torch.equal(model(x), model(x))
