"""Each way in which a layer reaches its place."""

import copy
import pickle

import pytest
import torch
from torch import nn

from dropblock_mm import (
    DropBlock2d,
    Dropout,
    DropPath,
    SpatialDropout,
    detach_drop_block,
    inject,
    inject_drop_block,
    register_block_adapter,
)
from dropblock_mm.injection import Place, Way
from dropblock_mm.injection import walk as adapters
from dropblock_mm.injection.places import AfterModule, FreeSlot, OnInput, OnSum
from dropblock_mm.testing.toy_blocks import BasicBlock, InvertedResidual, inject_all

LAYERS = [
    DropBlock2d(keep_prob=0.5, block_size=2),
    Dropout(keep_prob=0.5),
    SpatialDropout(keep_prob=0.5),
    DropPath(keep_prob=0.5),
]


class WholeBlock(BasicBlock):
    """Adds its input in an expression; its branch begins with conv1."""

    def forward(self, x):
        """Map Tensor[N, C, H, W] to a map."""
        return self.branch(x) + x


def ways(block):
    return {
        'after': AfterModule(block, 'layer', block.bn1),
        'slot': FreeSlot(block, 'downsample'),
        'sum': OnSum(block, 'layer'),
        'input': OnInput(block, 'layer', block.conv1),
    }


@pytest.fixture(params=['after', 'slot', 'sum', 'input'])
def way(request):
    """A way into a block of its own."""
    torch.manual_seed(0)
    block = BasicBlock() if request.param == 'slot' else WholeBlock()
    return ways(block.train())[request.param]


def state_of(block):
    return [(name, repr(m), sorted(vars(m))) for name, m in block.named_modules()]


@pytest.mark.parametrize('layer', LAYERS, ids=repr)
def test_what_a_way_attaches_it_undoes(way, layer):
    layer, x = copy.deepcopy(layer), torch.randn(8, 4, 9, 9)
    before, plain = state_of(way.owner), copy.deepcopy(way.owner)(x)
    for _ in range(2):
        undo = way.attach(layer)
        assert getattr(way.owner, way.child) is layer
        assert not torch.equal(copy.deepcopy(way.owner)(x), plain)
        assert layer.seen_units == 0  # the copy has its own
        way.owner(x)
        assert layer.seen_units == x.numel()
        layer.reset_count()
        undo()
        assert state_of(way.owner) == before
        assert torch.equal(copy.deepcopy(way.owner)(x), plain)


def test_undoing_leaves_what_others_hooked(way):
    calls = []
    way.owner.conv1.register_forward_pre_hook(lambda *args: calls.append(args))
    way.owner.bn1.register_forward_hook(lambda *args: calls.append(args))
    way.owner.register_forward_hook(lambda *args: calls.append(args))
    way.attach(DropPath(keep_prob=0.5))()
    way.owner(torch.randn(2, 4, 9, 9))
    assert len(calls) == 3


def test_a_way_shows_what_its_layer_gets(way):
    x, seen, given = torch.randn(2, 4, 9, 9), [], []
    layer = DropPath(keep_prob=1.0)
    layer.register_forward_pre_hook(lambda m, inputs: given.append(inputs[0]))
    way.attach(layer)
    handle = way.watch(seen.append)
    way.owner(x)
    handle.remove()
    way.owner(x)
    assert len(seen) == 1
    assert torch.equal(seen[0], given[0])


def test_a_slot_that_is_a_module_of_none_is_one_again():
    block = BasicBlock()
    del block.downsample
    block.register_module('downsample', None)
    FreeSlot(block, 'downsample').attach(DropPath(keep_prob=0.5))()
    assert block.downsample is None
    assert 'downsample' not in vars(block)  # where it would hide a later module


def test_a_new_way_is_one_class(monkeypatch):
    class BeforeModule(Way):
        """Drop units of what the second convolution is given."""

        def hook(self, layer):
            def drop(module, inputs):
                return (layer(inputs[0]),)

            return [self.owner.conv2.register_forward_pre_hook(drop)]

        def watch(self, note):
            return self.owner.conv2.register_forward_pre_hook(
                lambda module, inputs: note(inputs[0])
            )

    monkeypatch.setattr(adapters, '_REGISTERED', {})
    register_block_adapter(BasicBlock)(
        lambda block: [Place(block, 'before', way=BeforeModule(block, 'mine'))]
    )
    block = BasicBlock().train()
    (site,) = inject(block, [dict(module='')], layer='Dropout', keep_prob=0.5)
    block(torch.randn(2, 4, 9, 9))
    assert 0 < block.mine.kept_units < block.mine.seen_units
    detach_drop_block([site])
    assert not hasattr(block, 'mine')


@pytest.mark.parametrize(
    'clone', [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copied_sum_drops_with_a_layer_of_its_own(clone):
    block = InvertedResidual()
    original = inject_all(block)['shortcut'].layer
    copied = clone(block)
    copied(torch.randn(2, 4, 9, 9))
    assert copied.drop_block_shortcut.seen_units > 0
    assert original.seen_units == 0


def test_in_eval_a_sum_is_not_even_rounded():
    block = InvertedResidual().eval()
    inject_all(block)
    x = 1e30 * torch.randn(1, 4, 5, 5)
    assert torch.equal(block(x), block.forward(x))


def test_sums_compile():
    torch.manual_seed(0)
    block, x = InvertedResidual().train(), torch.randn(2, 4, 9, 9)
    inject_all(block, keep_prob=1.0)
    compiled = torch.compile(block, backend='eager')
    torch.testing.assert_close(compiled(x), block(x))


@pytest.mark.parametrize('reset', [False, True])
def test_compiled_after_a_copy_without_layers_it_drops_as_the_guide_advises(reset):
    """Dynamo asks modules for their hooks only if it is told to."""
    torch._dynamo.reset()
    plain = nn.ModuleDict(
        {'part': nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))}
    )
    ours, x = copy.deepcopy(plain), torch.randn(2, 4, 9, 9)
    inject_drop_block(ours, [dict(module='part')], keep_prob=0.5)
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=reset):
        torch.compile(plain['part'], backend='eager')(x)
        if reset:
            torch._dynamo.reset()
        torch.compile(ours['part'], backend='eager')(x)
    seen = [m.seen_units.item() for m in ours.modules() if hasattr(m, 'seen_units')]
    assert seen == [x.numel()]


def trident_block(trident):
    """An identity block of three branches, that shows its identity: x + 0."""
    block = trident.layer3[1]
    nn.init.zeros_(block.norm3.weight)
    return block.train()


def test_inputs_in_a_list_are_dropped_on_the_skip_connection_alone(trident):
    block = trident_block(trident)
    (site,) = inject_drop_block(
        block, [dict(module='', where='shortcut')], keep_prob=0.5, block_size=2
    )
    inputs = [torch.rand(2, 128, 8, 8) + 1 for _ in range(3)]
    seen = []
    block.conv1.register_forward_hook(lambda m, inputs, out: seen.append(inputs[0]))
    outputs = block(list(inputs))
    assert all(map(torch.equal, seen, inputs))
    zeros = [out == 0 for out in outputs]
    assert all(0.2 < z.double().mean() < 0.8 for z in zeros)
    assert not torch.equal(zeros[0], zeros[1])
    for x, out, zero in zip(inputs, outputs, zeros, strict=True):
        scale = x.numel() / (~zero).sum()
        torch.testing.assert_close(out[~zero], x[~zero] * scale)
    assert site.layer.seen_units == 3 * inputs[0].numel()


def test_one_input_goes_whole_into_all_branches(trident):
    """As where a stage begins without a projection."""
    block = trident_block(trident)
    inject_drop_block(block, [dict(module='', where='shortcut')], keep_prob=0.5)
    x, seen = torch.rand(2, 128, 8, 8) + 1, []
    block.conv1.register_forward_hook(lambda m, inputs, out: seen.append(inputs[0]))
    outputs = block(x)
    assert len(seen) == 3
    assert all(torch.equal(x, one) for one in seen)
    assert all((out == 0).any() for out in outputs)


def test_a_copy_of_a_block_with_branches_works_by_itself(trident):
    """EMAHook copies the model, and also after a training step."""
    block = trident_block(trident)
    (site,) = inject_drop_block(block, [dict(module='', where='shortcut')])
    inputs = [torch.rand(2, 128, 8, 8, requires_grad=True) for _ in range(3)]
    block(inputs)
    copied = copy.deepcopy(block)
    seen = int(site.layer.seen_units)
    copied(inputs)
    assert site.layer.seen_units == seen
    assert copied.downsample is None
    assert copied.drop_block_shortcut.seen_units == 2 * seen
    detach_drop_block([site])
    assert not any(
        hooks
        for module in (block, block.conv1)
        for hooks in (module._forward_hooks, module._forward_pre_hooks)
    )
