"""Where injection puts DropBlock in RetinaSegHead and in mmseg's own heads."""

import copy

import pytest
import torch
from torch import nn

from dropblock_mm import detach_drop_block, inject_drop_block

pytest.importorskip('mmseg')


def test_every_conv_bn_relu_of_the_towers_is_a_site(build_head, pyramid):
    head = nn.ModuleDict(dict(decode_head=build_head())).train()
    keys = list(head.state_dict())
    sites = inject_drop_block(
        head, [dict(module='decode_head')], keep_prob=0.5, block_size=2
    )
    assert [site.module for site in sites] == [
        f'decode_head.towers.{level}.{conv}' for level in range(3) for conv in range(3)
    ]
    assert list(head.state_dict()) == keys
    levels = pyramid()
    head['decode_head'](levels)
    seen = [int(site.layer.seen_units) for site in sites]
    assert seen == [2 * 8 * side**2 for side in (9, 5, 3) for _ in range(3)]
    assert all(site.layer.kept_units < site.layer.seen_units for site in sites)


def test_each_level_has_a_mask_of_its_own(build_head):
    """Equal inputs at all levels would be dropped alike by a shared mask."""
    head = build_head().train()
    sites = inject_drop_block(head, [dict(module='')], keep_prob=0.5, block_size=2)
    outputs = []
    for tower in head.towers:
        tower[0].register_forward_hook(lambda _m, _i, out: outputs.append(out))
    x = torch.ones(2, 8, 9, 9)
    head([x, x, x])
    masks = [out == 0 for out in outputs]
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[1], masks[2])
    detach_drop_block(sites)


def test_eval_is_bit_identical_with_drop_block(build_head, pyramid):
    head = build_head().eval()
    levels = pyramid()
    plain = head(levels)
    sites = inject_drop_block(head, [dict(module='')], keep_prob=0.2, block_size=4)
    assert torch.equal(head(levels), plain)
    assert torch.equal(copy.deepcopy(head)(levels), plain)
    detach_drop_block(sites)


# mmseg's own heads: what they are built of, and every conv-norm-activation in them.
DEPTHWISE = ('depthwise_conv', 'pointwise_conv')
HEADS = {
    'FCNHead': (
        dict(num_convs=2, concat_input=True),
        ['convs.0', 'convs.1', 'conv_cat'],
    ),
    'PSPHead': (
        dict(pool_scales=(1, 2)),
        ['psp_modules.0.1', 'psp_modules.1.1', 'bottleneck'],
    ),
    'ASPPHead': (
        dict(dilations=(1, 2)),
        ['image_pool.1', 'aspp_modules.0', 'aspp_modules.1', 'bottleneck'],
    ),
    'DepthwiseSeparableASPPHead': (
        dict(dilations=(1, 2), c1_in_channels=0, c1_channels=0),
        [
            *('image_pool.1', 'aspp_modules.0'),
            *(f'aspp_modules.1.{conv}' for conv in DEPTHWISE),
            'bottleneck',
            *(f'sep_bottleneck.{i}.{conv}' for i in (0, 1) for conv in DEPTHWISE),
        ],
    ),
    'FPNHead': (
        dict(feature_strides=[8, 16, 32], in_channels=[8] * 3, in_index=[0, 1, 2]),
        [f'scale_heads.{level}.{i}' for level, i in ((0, 0), (1, 0), (2, 0), (2, 2))],
    ),
    'UPerHead': (
        dict(pool_scales=(1, 2), in_channels=[8] * 3, in_index=[0, 1, 2]),
        [
            *('psp_modules.0.1', 'psp_modules.1.1', 'bottleneck'),
            *('lateral_convs.0', 'lateral_convs.1', 'fpn_convs.0', 'fpn_convs.1'),
            'fpn_bottleneck',
        ],
    ),
}


@pytest.mark.parametrize('name', HEADS)
def test_mmsegs_own_heads_are_served_alike(build_segmentor, batch, predict, name):
    """Trained, with masks at every site; tested, to the bit as without DropBlock."""
    options, expected = HEADS[name]
    inputs = dict(in_channels=8, in_index=0, channels=8, num_classes=5)
    norm = dict(norm_cfg=dict(type='BN'))
    head = dict(_delete_=True, type=name, **norm, **{**inputs, **options})
    model = build_segmentor(decode_head=head)
    keys = list(model.state_dict())
    plain = predict(model, batch())
    sites = inject_drop_block(
        model, [dict(module='decode_head')], keep_prob=0.5, block_size=2
    )
    assert [site.module for site in sites] == [f'decode_head.{s}' for s in expected]
    assert list(model.state_dict()) == keys
    assert all(
        torch.equal(a, b) for a, b in zip(predict(model, batch()), plain, strict=True)
    )
    losses = model.train().loss(**model.data_preprocessor(batch(), True))
    losses['decode.loss_ce'].backward()
    assert losses['decode.loss_ce'].isfinite()
    assert all(site.layer.seen_units > 0 for site in sites)
    dropped = [site for site in sites if site.layer.kept_units < site.layer.seen_units]
    assert len(dropped) >= len(sites) - 1  # a map of one unit may be kept whole
