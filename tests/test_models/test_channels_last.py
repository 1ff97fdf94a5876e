"""A model in channels-last memory order."""

import torch
from mmpretrain.registry import MODELS

import dropblock_mm  # noqa: F401
from dropblock_mm.models import build_channels_last

MODEL = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.LeNet5', num_classes=3),
    head=dict(type='mmpretrain.ClsHead'),
)


def build(**data_preprocessor):
    """Build as MMEngine's runner does, for a config with one of its own."""
    return build_channels_last(MODEL, data_preprocessor=data_preprocessor or None)


def test_what_prepares_the_images_may_stand_beside_the_model():
    model = build(mean=[1.0], std=[2.0], num_classes=3)
    assert model.data_preprocessor.mean.flatten().tolist() == [1.0]
    weight = model.backbone.features[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_what_the_model_has_goes_before():
    own = {**MODEL, 'data_preprocessor': dict(mean=[3.0], std=[2.0])}
    other = dict(mean=[1.0], std=[2.0])
    model = MODELS.build(
        dict(type='dropblock_mm.ChannelsLast', model=own, data_preprocessor=other)
    )
    assert model.data_preprocessor.mean.flatten().tolist() == [3.0]
