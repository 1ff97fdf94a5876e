"""The layer that is looked at where a backbone hands on a vector."""

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from dropblock_mm.analysis.activation_maps.explain import explain, usual_layer
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import ModelFiles, TrainedModel
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.errors import RefusedValueError


@pytest.fixture
def trained():
    torch.manual_seed(0)
    arch = {'depths': [1, 1, 1, 1], 'channels': [4, 8, 12, 16]}
    cfg = {
        'type': 'mmpretrain.ImageClassifier',
        'backbone': {'type': 'mmpretrain.ConvNeXt', 'arch': arch},
        'head': {'type': 'mmpretrain.LinearClsHead', 'num_classes': 5}
        | {'in_channels': 16},
    }
    model = MODELS.build(cfg).eval()
    return TrainedModel(ModelFiles('c', 'c.py', ''), Config(), model, 'mmpretrain', ())


@pytest.fixture
def example():
    pixels = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    return Example('a.png', {'inputs': pixels, 'data_samples': DataSample()}, None)


def test_it_is_the_last_that_gives_a_map_and_is_looked_for_once(trained, example):
    passes = []
    trained.model.backbone.register_forward_hook(lambda *_: passes.append(1))
    assert usual_layer(trained, example) == 'backbone.stages.3'
    assert usual_layer(trained, example) == 'backbone.stages.3'
    assert passes == [1]
    maps = [explain(trained, example, Truth(label)).activation for label in range(5)]
    assert {map_.shape for map_ in maps} == {(2, 3)}
    assert sum(map_.any() for map_ in maps) >= 2
    assert len(passes) == 6


def test_the_backbone_itself_is_refused_with_its_name(trained, example):
    with pytest.raises(RefusedValueError, match=r"such as 'backbone\.stages\.3'"):
        explain(trained, example, Truth(0), 'backbone')
