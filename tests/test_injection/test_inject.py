import copy
import pickle

import pytest
import torch
from mmdet.models.backbones import ResNet as DetectionResNet
from mmseg.models.backbones import ResNet as SegmentationResNet
from mmseg.models.backbones import ResNetV1c, ResNetV1d
from torch import nn

from dropblock_mm import DropBlock2d, detach_drop_block, inject_drop_block
from dropblock_mm.testing.toy import toy_classifier, toy_resnet

PAPER_TARGETS = [
    dict(module='backbone.layer3', gamma_scale=0.25),
    dict(module='backbone.layer4'),
]


def layers_of(model):
    return [module for module in model.modules() if isinstance(module, DropBlock2d)]


def train_once(model):
    """One forward and backward pass in training mode."""
    model.train()  # mmdet's ResNet returns None from it
    outputs = model(torch.randn(2, 3, 64, 64))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(out.square().mean() for out in outputs).backward()


def test_resnet50_gets_the_papers_36_sites():
    model = toy_classifier(50)
    sites = inject_drop_block(model, PAPER_TARGETS, keep_prob=0.9)
    names = [(site.module, site.place.name) for site in sites]
    assert names == [
        (f'backbone.layer{stage}.{block}', place)
        for stage, blocks in ((3, 6), (4, 3))
        for block in range(blocks)
        for place in ('shortcut', 'conv1', 'conv2', 'conv3')
    ]
    assert {site.layer.gamma_scale for site in sites[:24]} == {0.25}
    assert {site.layer.gamma_scale for site in sites[24:]} == {1.0}


@pytest.mark.parametrize(
    ('depth', 'options'),
    [
        (18, {}),
        (50, {}),
        (50, dict(style='caffe')),
        (50, dict(avg_down=True)),
        (18, dict(deep_stem=True, avg_down=True)),
        (50, dict(with_cp=True)),
        (18, dict(with_cp=True)),
        (50, dict(norm_eval=True)),
        (50, dict(norm_cfg=dict(type='GN', num_groups=2))),
        (
            50,
            dict(
                plugins=[
                    dict(
                        cfg=dict(type='ContextBlock', ratio=1.0 / 4),
                        stages=(False, True, True, True),
                        position='after_conv3',
                    )
                ]
            ),
        ),
    ],
)
@pytest.mark.parametrize('resnet', [DetectionResNet, SegmentationResNet])
def test_every_kind_of_resnet_is_served_at_every_place(resnet, depth, options):
    torch.manual_seed(0)
    model = resnet(depth=depth, base_channels=8, stem_channels=8, **options)
    image = torch.randn(2, 3, 64, 64)
    keys = list(model.state_dict())
    model.eval()
    before = model(image)

    sites = inject_drop_block(model, [dict(module='layer[1-4]')], keep_prob=0.9)
    per_block, blocks = (3, 8) if depth == 18 else (4, 16)
    assert len(sites) == per_block * blocks

    assert list(model.state_dict()) == keys
    model.eval()
    after = model(image)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not any(site.layer.seen_units for site in sites)

    train_once(model)
    assert all(site.layer.seen_units > 0 for site in sites)
    assert all(p.grad is not None for p in model.layer4.parameters())


@pytest.mark.parametrize('resnet', [ResNetV1c, ResNetV1d])
def test_mmsegs_variants_are_served(resnet):
    model = resnet(depth=50, base_channels=8, stem_channels=8)
    sites = inject_drop_block(model, [dict(module='layer4')], keep_prob=0.9)
    train_once(model)
    assert len(sites) == 12
    assert all(site.layer.seen_units > 0 for site in sites)


@pytest.mark.parametrize('index', [0, 1])  # a projection, an identity
@pytest.mark.parametrize('place', ['shortcut', 'conv2'])
def test_each_place_drops_what_it_says(index, place):
    """With every unit dropped at one place, what follows is known exactly."""
    torch.manual_seed(0)
    block = toy_resnet(18).layer4[index].train()
    plain = copy.deepcopy(block)
    x = torch.rand(2, plain.conv1.in_channels, 8, 8)
    branch = plain.norm2(plain.conv2(torch.relu(plain.norm1(plain.conv1(x)))))
    shortcut = x if plain.downsample is None else plain.downsample(x)
    expected = torch.relu(branch if place == 'shortcut' else shortcut)
    # A block of 8 covers the map; keep_prob 0 then drops all of it.
    for site in inject_drop_block(block, [dict(module='')], keep_prob=1, block_size=8):
        if site.place.name == place:
            site.layer.set_keep_prob(0.0)
    torch.testing.assert_close(block(x), expected)


def test_dropping_sits_in_the_block_and_survives_norm_eval():
    model = toy_classifier(50, norm_eval=True)
    sites = inject_drop_block(model, PAPER_TARGETS, keep_prob=0.5)
    model.train()
    norms = [m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    assert all(site.layer.training for site in sites)
    assert not any(list(norm.children()) for norm in norms)


@pytest.mark.parametrize(
    'clone', [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_work_with_layers_of_their_own(clone):
    model = toy_resnet(18)
    sites = inject_drop_block(model, [dict(module='layer4')], keep_prob=0.5)
    copied = clone(model)
    train_once(copied)
    assert len(layers_of(copied)) == len(sites)
    assert all(layer.seen_units > 0 for layer in layers_of(copied))
    assert not any(site.layer.seen_units for site in sites)


@pytest.mark.parametrize('depth', [18, 50])
def test_detaching_restores_the_model_exactly(depth):
    torch.manual_seed(0)
    model = toy_classifier(depth)
    image = torch.randn(2, 3, 64, 64)
    before = repr(model), list(model.state_dict()), list(model.named_buffers())
    attributes = [sorted(vars(module)) for module in model.modules()]
    output = copy.deepcopy(model).train()(image)
    detach_drop_block(inject_drop_block(model, PAPER_TARGETS, keep_prob=0.5))
    assert (repr(model), list(model.state_dict())) == before[:2]
    assert len(list(model.named_buffers())) == len(before[2])
    assert [sorted(vars(module)) for module in model.modules()] == attributes
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(model.train()(image), output)
    inject_drop_block(model, PAPER_TARGETS, keep_prob=0.5)  # and it can go in again


def test_detaching_leaves_other_hooks_alone():
    model = toy_classifier()
    calls = []
    norm = model.backbone.layer4[0].bn1
    norm.register_forward_hook(lambda *args: calls.append(args))
    detach_drop_block(inject_drop_block(model, PAPER_TARGETS, keep_prob=0.5))
    train_once(model)
    assert len(calls) == 1


def test_wrappers_do_not_show_in_paths():
    model = toy_classifier()
    wrapped = nn.DataParallel(torch.compile(model, backend='eager'))
    sites = inject_drop_block(wrapped, PAPER_TARGETS, keep_prob=0.5)
    assert sites[0].module == 'backbone.layer3.0'
    assert len(layers_of(model)) == len(sites) == 12


def test_layers_take_the_owners_mode_and_device():
    model = toy_classifier().to('meta').eval()
    sites = inject_drop_block(model, PAPER_TARGETS, keep_prob=0.5)
    assert all(site.layer.keep_prob.is_meta for site in sites)
    assert not any(site.layer.training for site in sites)
