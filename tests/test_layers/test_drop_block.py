import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dropblock_mm import DropBlock2d, drop_block_2d


def test_delegates_to_the_op():
    x = torch.randn(2, 4, 12, 13)
    layer = DropBlock2d(
        keep_prob=0.5, block_size=3, gamma_scale=0.5, calibrated=True, shared_mask=True
    )
    torch.manual_seed(0)
    out = layer(x)
    torch.manual_seed(0)
    expected = drop_block_2d(
        x,
        keep_prob=0.5,
        block_size=3,
        gamma_scale=0.5,
        calibrated=True,
        shared_mask=True,
    )
    assert torch.equal(out, expected)


def test_is_the_identity_in_eval_and_at_keep_prob_1():
    x = torch.randn(2, 4, 12, 13)
    assert DropBlock2d(keep_prob=0.1, block_size=3).eval()(x) is x
    assert torch.equal(DropBlock2d(keep_prob=1.0, block_size=3)(x), x)
    assert torch.equal(DropBlock2d(keep_prob=None, block_size=3)(x), x)


def test_set_keep_prob_takes_effect_and_is_checked():
    layer = DropBlock2d(keep_prob=1.0, block_size=3)
    layer.set_keep_prob(0.5)
    assert (layer(torch.ones(2, 4, 12, 13)) == 0).any()
    with pytest.raises(ValueError, match='keep_prob=2'):
        layer.set_keep_prob(2)
    assert layer.keep_prob.item() == 0.5


def test_counts_what_it_keeps():
    torch.manual_seed(0)
    layer = DropBlock2d(keep_prob=0.7, block_size=3)
    dropped = 0
    for _ in range(3):
        dropped += int((layer(torch.ones(2, 4, 12, 13)) == 0).sum())
    assert layer.seen_units == 3 * 2 * 4 * 12 * 13
    assert layer.seen_units - layer.kept_units == dropped
    layer.eval()(torch.ones(2, 4, 12, 13))
    assert layer.seen_units == 3 * 2 * 4 * 12 * 13
    layer.reset_count()
    assert (layer.kept_units, layer.seen_units) == (0, 0)


def test_adds_nothing_to_a_state_dict():
    layer = DropBlock2d(keep_prob=0.9, block_size=7)
    assert not layer.state_dict()
    assert not list(layer.parameters())
    plain = nn.Sequential(nn.Conv2d(3, 4, 1))
    with_layer = nn.Sequential(nn.Conv2d(3, 4, 1), layer)
    assert list(with_layer.state_dict()) == list(plain.state_dict())
    with_layer.load_state_dict(plain.state_dict(), strict=True)


@pytest.mark.parametrize(
    'clone', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_are_alike_and_apart(clone):
    layer = DropBlock2d(keep_prob=0.5, block_size=3, gamma_scale=0.5)
    copied = clone(layer)
    assert repr(copied) == repr(layer)
    layer.set_keep_prob(0.25)
    assert copied.keep_prob.item() == 0.5


def test_activation_checkpointing_repeats_the_mask_while_the_rate_changes():
    torch.manual_seed(0)
    layer = DropBlock2d(keep_prob=0.5, block_size=3)
    for step in range(20):
        layer.set_keep_prob(0.9 - 0.04 * step)
        x = torch.randn(2, 4, 12, 13, requires_grad=True)
        out = checkpoint(lambda x: layer(x * 1.0), x, use_reentrant=bool(step % 2))
        out.sum().backward()
        assert torch.equal(x.grad == 0, out == 0)


@pytest.mark.parametrize('use_reentrant', [False, True])
def test_units_that_checkpointing_recomputes_count_once(use_reentrant):
    layer, x = (
        DropBlock2d(keep_prob=0.5, block_size=3),
        torch.randn(2, 4, 12, 13, requires_grad=True),
    )
    # Something has to follow the layer: recomputation ends as early as it can.
    out = checkpoint(lambda x: layer(x * 1.0).sin(), x, use_reentrant=use_reentrant)
    seen, kept = layer.seen_units.item(), layer.kept_units.item()
    out.sum().backward()
    assert (layer.seen_units.item(), layer.kept_units.item()) == (seen, kept)
    assert 0 < kept < seen == x.numel()


def test_autocast_keeps_the_dtype_it_gets():
    conv = nn.Conv2d(3, 4, 3, padding=1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = DropBlock2d(keep_prob=0.5, block_size=3)(conv(torch.randn(2, 3, 12, 12)))
    assert out.dtype == torch.bfloat16


def test_works_in_a_compiled_model_while_the_rate_changes():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), DropBlock2d(keep_prob=0.9, block_size=3), nn.ReLU()
    )
    compiled = torch.compile(model, backend='eager')
    x = torch.randn(2, 3, 12, 12, requires_grad=True)
    for step in range(4):
        model[1].set_keep_prob(0.9 - 0.2 * step)
        out = compiled(x)
        assert (out == 0).any()
        out.sum().backward()
    assert torch.equal(compiled.eval()(x), model.eval()(x))


def test_repr_shows_what_differs_from_the_default():
    layer = DropBlock2d(keep_prob=0.9, block_size=7, gamma_scale=0.25, shared_mask=True)
    assert repr(layer) == (
        'DropBlock2d(keep_prob=0.9, block_size=7, gamma_scale=0.25, shared_mask=True)'
    )
    assert 'keep_prob=0.9' in repr(DropBlock2d(keep_prob=0.9, block_size=7).to('meta'))


def test_is_a_plugin_of_mmdets_resnet():
    resnet = pytest.importorskip('mmdet.models.backbones').ResNet
    plugin = dict(type='dropblock_mm.DropBlock2d', keep_prob=0.9, block_size=3)
    model = resnet(
        50,
        base_channels=8,
        plugins=[
            dict(cfg=plugin, position='after_conv2', stages=(0, 0, 1, 1)),
            dict(
                cfg=dict(plugin, postfix='_last'),
                position='after_conv3',
                stages=(0, 0, 0, 1),
            ),
        ],
    )
    model.train()
    sum(out.sum() for out in model(torch.randn(2, 3, 64, 64))).backward()
    layers = [module for module in model.modules() if isinstance(module, DropBlock2d)]
    assert len(layers) == 6 + 3 + 3
    assert all(layer.seen_units > 0 for layer in layers)


@pytest.mark.parametrize(
    ('arguments', 'error', 'text'),
    [
        (dict(keep_prob=1.5, block_size=7), ValueError, r'keep_prob=1\.5'),
        (dict(keep_prob=0.9, block_size=0), ValueError, 'block_size=0'),
        (dict(keep_prob=0.9, blok_size=7), TypeError, "Did you mean 'block_size'"),
        (dict(keep_prob=0.9, block_size=7, gamma_scale=-1), ValueError, 'gamma_scale'),
        (dict(keep_prob=0.9, block_size=7, calibrated=1), TypeError, 'calibrated=1'),
        (dict(keep_prob=0.9, block_size=7, shared_mask=1), TypeError, 'shared_mask=1'),
    ],
)
def test_bad_arguments_are_named(arguments, error, text):
    with pytest.raises(error, match=text):
        DropBlock2d(**arguments)
