"""Skip connections that no module stands on."""

import copy
import pickle

import pytest
import torch
from torch import nn

from dropblock_mm import detach_drop_block, inject_drop_block
from dropblock_mm.testing.toy_blocks import InvertedResidual, inject_all


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
