from mmseg.models.backbones import ResNetV1c
from torch import nn

from dropblock_mm import inject_drop_block
from dropblock_mm.testing.toy_blocks import BasicBlock


def test_a_projection_is_one_place_wherever_the_target_begins():
    model = nn.Sequential(BasicBlock(4, 8))
    sites = inject_drop_block(model, [dict(module='.*')], keep_prob=0.5)
    assert [site.place.name for site in sites] == ['shortcut', 'conv1', 'conv2']


def test_a_stem_is_in_no_block_however_deep():
    model = nn.ModuleDict(dict(backbone=ResNetV1c(depth=18, base_channels=8)))
    sites = inject_drop_block(model, [dict(module='backbone')])
    assert len(sites) == 3 * 8
    assert all(site.module.startswith('backbone.layer') for site in sites)
