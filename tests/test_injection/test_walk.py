"""Blocks of the user's, registered."""

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from dropblock_mm import DropBlock2d, register_block_adapter
from dropblock_mm.injection import Place
from dropblock_mm.injection import walk as adapters
from dropblock_mm.testing.toy_blocks import BasicBlock, inject_all


class Tower(nn.Module):
    """A block that no built-in rule understands."""

    def __init__(self):
        super().__init__()
        self.weigh, self.scale = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.unit = ConvModule(4, 4, 1, norm_cfg=dict(type='BN'))

    def forward(self, x):
        return x + self.unit(self.scale(self.weigh(x)))


class HigherTower(Tower):
    pass


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(adapters, '_REGISTERED', {})


@pytest.mark.parametrize('tower', [Tower, HigherTower])
def test_a_registered_block_is_served(tower):
    assert list(inject_all(tower())) == ['unit.conv']

    @register_block_adapter(Tower)
    def places_of_tower(block):
        return [
            Place(block, 'shortcut', 'shortcut', adds_input=True),
            Place(block, 'weigh', after=block.scale),
        ]

    assert places_of_tower(Tower())
    model = tower().train()
    sites = inject_all(model)
    assert list(sites) == ['shortcut', 'weigh', 'unit.conv']
    model(torch.randn(2, 4, 9, 9))
    assert all(site.layer.seen_units > 0 for site in sites.values())


def test_the_latest_and_the_nearest_registration_counts():
    register_block_adapter(Tower)(lambda block: [])
    register_block_adapter(HigherTower)(
        lambda block: [Place(block, 'all', after=block)]
    )
    assert list(inject_all(HigherTower())) == ['all', 'unit.conv']
    with pytest.raises(ValueError, match='no site'):  # an empty list keeps it out
        inject_all(Tower())
    register_block_adapter(Tower)(lambda block: None)  # the built-in rules do
    assert list(inject_all(Tower())) == ['unit.conv']


def test_a_registered_block_may_leave_the_rest_to_the_rules():
    register_block_adapter(BasicBlock)(lambda block: None)
    assert list(inject_all(BasicBlock())) == ['shortcut', 'conv1', 'conv2']


@pytest.mark.parametrize('wrong', ['Tower', Tower(), int])
def test_only_module_classes_can_be_registered(wrong):
    with pytest.raises(TypeError, match=r'Write @register_block_adapter\(MyBlock\)'):
        register_block_adapter(wrong)


def test_two_places_of_one_name_are_refused():
    @register_block_adapter(Tower)
    def places_of_tower(block):
        return [Place(block, 'conv', after=m) for m in (block.scale, block.unit.norm)]

    model = Tower()
    with pytest.raises(ValueError, match=r"\(Tower\) has two places named 'conv'"):
        inject_all(model)
    assert not any(isinstance(m, DropBlock2d) for m in model.modules())
