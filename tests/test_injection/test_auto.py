"""The last two stages of whatever network there is."""

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope
from mmseg.models.backbones import ICNet
from torch import nn

from dropblock_mm import DropBlock2d, Dropout, config_path, inject, inject_drop_block
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.injection.auto import auto_targets, in_words
from dropblock_mm.injection.targets import Defaults, parse_targets
from dropblock_mm.testing.toy import toy_classifier
from dropblock_mm.testing.toy_blocks import BasicBlock

BACKBONES = {
    'resnet_c4c5': ('mmdet', dict(type='ResNet', depth=18)),
    'cspnext': (
        'mmdet',
        dict(type='CSPNeXt', deepen_factor=0.167, widen_factor=0.375),
    ),
    'csp_darknet': (
        'mmdet',
        dict(type='CSPDarknet', deepen_factor=0.33, widen_factor=0.25),
    ),
    'efficientnet': ('mmdet', dict(type='EfficientNet', arch='b0')),
    'mobilenet': ('mmdet', dict(type='MobileNetV2')),
    'hrnet': (
        'mmdet',
        dict(
            type='HRNet',
            extra={
                f'stage{n}': dict(
                    num_modules=1,
                    num_branches=n,
                    block='BOTTLENECK' if n == 1 else 'BASIC',
                    num_blocks=(1,) * n,
                    num_channels=(8, 16, 24, 32)[:n],
                )
                for n in (1, 2, 3, 4)
            },
        ),
    ),
}


def model_with(fragment):
    """A model on the meta device with the backbone that a fragment is for."""
    scope, config = BACKBONES[fragment]
    model = nn.Module()
    with DefaultScope.overwrite_default_scope(scope):
        model.backbone = build_on_meta(lambda: MODELS.build(ConfigDict(config)))
    return model


@pytest.mark.parametrize('fragment', BACKBONES)
def test_it_takes_what_the_fragment_of_the_network_names(fragment):
    model = model_with(fragment)
    path = config_path(f'_base_/dropblock/{fragment}.py')
    targets = Config.fromfile(path).custom_hooks[0].targets
    assert auto_targets(model, DropBlock2d) == [dict(target) for target in targets]


@pytest.mark.parametrize('fragment', BACKBONES)
def test_every_fragment_finds_its_sites(fragment):
    path = config_path(f'_base_/dropblock/{fragment}.py')
    hook = Config.fromfile(path).custom_hooks[0]
    sites = inject_drop_block(
        model_with(fragment), hook.targets, block_size=hook.block_size
    )
    for target in hook.targets:
        mine = [site for site in sites if site.target.module == target.module]
        scale = target.get('gamma_scale', 1.0)
        assert {site.layer.gamma_scale for site in mine} == {scale}
        assert any(site.place.kind == 'shortcut' for site in mine)


class Stacked(nn.Module):
    """Blocks in one list, of which two halve the maps, behind a stem."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        halving = nn.Sequential(
            nn.Conv2d(4, 4, 3, stride=2), nn.BatchNorm2d(4), BasicBlock()
        )
        last = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        blocks = [BasicBlock() for _ in range(4)]
        self.features = nn.Sequential(
            *blocks[:2], halving, blocks[2], nn.MaxPool2d(2), blocks[3], last
        )
        self.head = nn.Linear(4, 2)


def test_without_numbered_stages_a_halving_begins_one():
    assert auto_targets(Stacked(), DropBlock2d) == [
        dict(module=r'features\.[23]', gamma_scale=0.25),
        dict(module='features.5'),
    ]


def test_icnet():
    """Numbered parts beside the network, conv_sub2 and conv_sub4, are no stages."""
    net = dict(type='ResNetV1c', depth=18, norm_cfg=dict(type='BN'))
    backbone = ICNet(backbone_cfg=net, in_channels=3, layer_channels=(128, 512))
    model = nn.ModuleDict(dict(backbone=backbone))
    assert [target['module'] for target in auto_targets(model, DropBlock2d)] == [
        'backbone.backbone.layer3',
        'backbone.backbone.layer4',
    ]


def test_it_says_what_it_took():
    layers = [dict(module='backbone.layer3'), dict(module='backbone.layer4')]
    options = Defaults(DropBlock2d, 0.9, None, dict(block_size=3), 'inject')
    two = in_words(parse_targets(layers, options))
    one = in_words(parse_targets([dict(module='backbone')], options))
    assert 'backbone.layer3 and backbone.layer4, the last two stages' in two
    assert 'took backbone, where no two stages were found. This is untried' in one


def test_wrappers_do_not_show():
    model = nn.DataParallel(toy_classifier())
    assert [target['module'] for target in auto_targets(model, DropBlock2d)] == [
        'backbone.layer3',
        'backbone.layer4',
    ]


def test_other_layers_have_their_own_scale():
    sites = inject(toy_classifier(), 'auto', layer='Dropout', keep_prob=0.5)
    assert {site.layer.drop_scale for site in sites} == {0.25, 1.0}
    assert auto_targets(toy_classifier(), Dropout)[0]['drop_scale'] == 0.25


def test_a_network_without_sites_is_refused_by_name():
    model = nn.Module()
    model.backbone = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    with pytest.raises(ValueError, match=r"module='backbone' .* which has no site"):
        inject_drop_block(model, 'auto', keep_prob=0.9)


def test_another_word_is_refused():
    with pytest.raises(TypeError, match=r"targets='automatic' is not a list.*'auto'"):
        inject_drop_block(toy_classifier(), 'automatic', keep_prob=0.9)
