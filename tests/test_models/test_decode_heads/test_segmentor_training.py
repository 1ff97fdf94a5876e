"""RetinaSegHead in a segmentor of mmseg's: every way to train it."""

import copy

import pytest
import torch
from mmengine.model import convert_sync_batchnorm
from torch import nn

from dropblock_mm import inject_drop_block

pytest.importorskip('mmseg')


def train_step(model, data):
    """Losses, with all gradients computed from their sum."""
    losses = model.train().loss(**model.data_preprocessor(data, True))
    sum(loss for name, loss in losses.items() if 'loss' in name).backward()
    return losses


def gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_trains_with_auxiliary_heads(build_segmentor, batch):
    auxiliary = dict(in_channels=16, channels=8, num_classes=5)
    model = build_segmentor(
        neck=dict(out_channels=16),
        decode_head=dict(in_channels=[16] * 3),
        auxiliary_head=[
            dict(auxiliary, type='FCNHead', num_convs=1, in_index=1),
            dict(auxiliary, type='dropblock_mm.RetinaSegHead', in_channels=[16] * 3),
        ],
    )
    losses = train_step(model, batch())
    assert {'decode.loss_ce', 'aux_0.loss_ce', 'aux_1.loss_ce'} <= set(losses)
    assert gradient(model).isfinite().all()
    for head in (model.decode_head, *model.auxiliary_head):
        assert head.conv_seg.weight.grad.any()


@pytest.mark.parametrize('size', [(61, 47), (33, 129)], ids=str)
def test_trains_on_images_of_odd_sizes(build_segmentor, batch, size):
    model = build_segmentor(data_preprocessor=dict(size=size))
    assert train_step(model, batch(*size))['decode.loss_ce'].isfinite()


def test_conversion_to_sync_batch_norm_keeps_the_convolutions_shared(
    build_segmentor, batch, predict
):
    plain = build_segmentor()
    model = convert_sync_batchnorm(copy.deepcopy(plain), 'torch')
    towers = model.decode_head.towers
    assert isinstance(towers[2][0].norm, nn.SyncBatchNorm)
    assert towers[2][0].conv is towers[0][0].conv
    assert list(model.state_dict()) == list(plain.state_dict())
    sites = inject_drop_block(model, [dict(module='decode_head')], keep_prob=0.5)
    assert len(sites) == 3
    torch.testing.assert_close(predict(model, batch()), predict(plain, batch()))


@pytest.fixture
def step_with_drop_block(build_segmentor, batch):
    """A function that returns loss, gradient and kept units of a seeded step."""

    def step(dtype=torch.float32, memory_format=torch.contiguous_format):
        model = build_segmentor().to(memory_format=memory_format)
        sites = inject_drop_block(
            model, [dict(module='decode_head')], keep_prob=0.8, block_size=2
        )
        torch.manual_seed(2)
        # Of float32 autocast makes nothing: it is off.
        with torch.autocast('cpu', dtype, enabled=dtype is not torch.float32):
            loss = train_step(model, batch())['decode.loss_ce']
        kept = [int(site.layer.kept_units) for site in sites]
        return loss.detach().float(), gradient(model), kept

    return step


@pytest.mark.parametrize(
    'memory_format', [torch.contiguous_format, torch.channels_last]
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_precision_and_memory_format_change_little(
    step_with_drop_block, dtype, memory_format
):
    plain = step_with_drop_block()
    loss, gradient, kept = step_with_drop_block(dtype, memory_format)
    assert kept == plain[2]
    torch.testing.assert_close(loss, plain[0], atol=0.03, rtol=0)
    alike = torch.cosine_similarity(gradient, plain[1], dim=0)
    assert alike > 0.9


def test_compiles_in_one_graph(build_head, pyramid):
    def run(compiled):
        torch.manual_seed(0)
        head = build_head().train()
        sites = inject_drop_block(head, [dict(module='')], keep_prob=0.8, block_size=2)
        if compiled:
            head.compile(backend='eager', fullgraph=True)
        logits = head(pyramid())
        assert all(site.layer.kept_units < site.layer.seen_units for site in sites)
        return logits

    torch.testing.assert_close(run(compiled=True), run(compiled=False))
