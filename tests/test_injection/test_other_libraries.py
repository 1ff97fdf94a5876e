"""Backbones of timm, torchvision and mmpretrain, where these are installed."""

import re

import pytest
import torch

from dropblock_mm.testing.served import check_branches, check_is_served

# (name, sites on skip connections)
TIMM = [
    ('resnet18', 8),
    ('resnet50d', 16),
    ('res2net50_26w_4s', 16),
    ('resnest14d', 4),
    ('regnety_004', 16),
    ('resnetv2_50', 16),
    ('efficientnet_b0', 9),
    ('mobilenetv3_large_100', 10),
]
TORCHVISION = [
    ('resnet18', 8),
    ('resnext50_32x4d', 16),
    ('regnet_x_400mf', 22),
    ('mobilenet_v2', 10),
    ('efficientnet_b0', 9),
]
MMPRETRAIN = [
    (dict(type='ResNet', depth=50, drop_path_rate=0.05), 16),
    (dict(type='SEResNet', depth=50), 16),
    (dict(type='ResNet_CIFAR', depth=18), 8),
    (dict(type='Res2Net', depth=50), 16),
    (dict(type='HRNet', arch='w18'), 108),
    (dict(type='EfficientNet', arch='b0'), 9),
    (dict(type='CSPResNet', depth=50), 13),
    (dict(type='TIMMBackbone', model_name='resnet18', features_only=True), 8),
]

# What is beside the blocks: the stem, and timm's last convolution.
BESIDE = r'(backbone\.|timm_model\.)?(conv1|conv2|conv_stem|stem|conv_head)\b'


def check(model, shortcuts):
    torch.manual_seed(0)
    sites, missed = check_is_served(model, torch.randn(2, 3, 64, 64))
    assert sum(site.place.kind == 'shortcut' for site in sites) == shortcuts
    assert all(re.match(BESIDE, conv) for conv, _ in missed), missed
    assert len(check_branches(model, torch.randn(2, 3, 64, 64))) == shortcuts


@pytest.mark.parametrize(('name', 'shortcuts'), TIMM)
def test_timm(name, shortcuts):
    timm = pytest.importorskip('timm')
    check(timm.create_model(name, num_classes=4), shortcuts)


@pytest.mark.parametrize(('name', 'shortcuts'), TORCHVISION)
def test_torchvision(name, shortcuts):
    torchvision = pytest.importorskip('torchvision')
    check(torchvision.models.get_model(name, weights=None), shortcuts)


@pytest.mark.parametrize(('config', 'shortcuts'), MMPRETRAIN)
def test_mmpretrain(config, shortcuts):
    models = pytest.importorskip('mmpretrain.models')
    check(models.build_backbone(dict(config)), shortcuts)


def test_an_mmpretrain_classifier():
    models = pytest.importorskip('mmpretrain.models')
    model = models.build_classifier(
        dict(
            type='ImageClassifier',
            backbone=dict(type='ResNet', depth=18),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=4, in_channels=512),
        )
    )
    check(model, 8)
