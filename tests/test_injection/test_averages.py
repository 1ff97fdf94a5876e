"""Models that average a part of themselves into a copy, as BYOL and MoCo do."""

import ast

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn
from torch.optim.swa_utils import AveragedModel

from dropblock_mm import inject_drop_block
from dropblock_mm.testing.toy_blocks import BasicBlock


class Twofold(nn.Module):
    """A backbone of two blocks and a copy of it, in a sequence with the neck."""

    def __init__(self, average=ExponentialMovingAverage, **options):
        super().__init__()
        self.backbone = nn.Sequential(BasicBlock(), BasicBlock())
        self.neck = nn.BatchNorm2d(4)
        self.head = nn.Sequential(BasicBlock())
        self.target_net = average(self.online(), **options)

    def online(self):
        return nn.Sequential(self.backbone, self.neck)

    def step(self):
        self.online()(torch.randn(2, 4, 8, 8))
        self.target_net.update_parameters(self.online())


def statistics(module):
    """Return the buffers of the norms, which are what a plain model has."""
    return {name: b for name, b in module.named_buffers() if 'bn' in name}


def inject(model, *modules):
    targets = [dict(module=module) for module in modules]
    return inject_drop_block(model, targets, block_size=3, keep_prob=0.9)


@pytest.mark.parametrize('average', [ExponentialMovingAverage, AveragedModel])
@pytest.mark.parametrize('module', ['backbone', r'target_net\.module\.0\..*'])
def test_a_block_without_its_copy_is_refused(average, module):
    model = Twofold(average)
    with pytest.raises(ValueError, match=r'targets\[0\]: .*backbone\.0.*Name both'):
        inject(model, module)
    assert not [name for name, _ in model.named_modules() if 'drop' in name]


def test_the_regular_expression_that_is_named_works():
    model = Twofold()
    with pytest.raises(ValueError, match='Name both') as refusal:
        inject(model, 'backbone.0')
    said = str(refusal.value).partition('module=')[2].partition(', to drop')[0]
    expression = ast.literal_eval(said)
    assert expression == r'(backbone|target_net\.module\.0)\.0'
    both = inject(model, expression)
    assert [site.module for site in both][::3] == [
        'backbone.0',
        'target_net.module.0.0',
    ]


@pytest.mark.parametrize('model', [Twofold(), Twofold(update_buffers=True)])
def test_statistics_are_those_of_the_same_norm(model):
    """Whether both have layers, or the average pairs buffers by name."""
    paired = not model.target_net.update_buffers
    inject(model, *[r'(backbone|target_net\.module\.0)\.\d' if paired else 'backbone'])
    model.step()
    source = statistics(model.backbone)
    copy = statistics(model.target_net.module[0])
    assert len(source) == 12
    for name, buffer in source.items():
        torch.testing.assert_close(copy[name], buffer, msg=name)


@pytest.mark.parametrize('options', [{}, dict(update_buffers=True)])
def test_layers_of_a_copy_are_averaged_and_not_frozen(options):
    """As in MoCo, whose copy runs in training mode, without gradients."""
    model = Twofold(**options).train()
    for weight in [*model.target_net.parameters(), *model.head.parameters()]:
        weight.requires_grad_(False)
    sites = inject(model, r'(backbone|target_net\.module\.0|head)\.\d')
    states = {site.module.split('.')[0]: (site.averaged, site.frozen) for site in sites}
    assert states == {
        'backbone': (False, False),
        'target_net': (True, False),
        'head': (False, True),
    }
    marks = {
        line.split('.')[0].strip(): [m for m in ('averaged', 'frozen') if m in line]
        for line in repr(sites).splitlines()
        if '.' in line.split('keep_prob')[0]
    }
    assert marks == {'backbone': [], 'target_net': ['averaged'], 'head': ['frozen']}


def test_parts_that_were_not_copied_are_free():
    model = Twofold()
    sites = inject(model, 'head')
    assert {site.module for site in sites} == {'head.0'}
    model.step()
    copied = statistics(model.target_net.module[0])
    torch.testing.assert_close(statistics(model.backbone), copied)


def test_a_place_that_the_copy_lacks_is_named():
    model = Twofold()
    targets = [
        dict(module='backbone'),
        dict(module=r'target_net\.module\.0\..*', where='conv'),
    ]
    with pytest.raises(ValueError, match=r'only backbone\.0 \(shortcut\) would'):
        inject_drop_block(model, targets, block_size=3, keep_prob=0.9)
