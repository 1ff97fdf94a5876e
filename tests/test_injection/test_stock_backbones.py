"""Backbones of mmdet's and mmseg's own configs, really run: a spread, and all."""

import collections
import re

import pytest
import torch
from torch import nn

from dropblock_mm import inject, inject_drop_block
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.analysis.sites.stock_models import (
    backbones_of,
    builder,
    key_of,
    read_config,
    stock_configs,
    without,
)
from dropblock_mm.injection import walk as adapters
from dropblock_mm.testing.served import check_branches, check_is_served

SPREAD = [
    'mmdet::dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py',
    'mmdet::detectors/detectors_cascade-rcnn_r50_1x_coco.py',
    'mmdet::efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py',
    'mmdet::faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py',
    'mmdet::gcnet/mask-rcnn_r50-syncbn-gcb-r4-c3-c5_fpn_1x_coco.py',
    'mmdet::gn+ws/faster-rcnn_x50-32x4d_fpn_gn-ws-all_1x_coco.py',
    'mmdet::hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py',
    'mmdet::regnet/mask-rcnn_regnetx-400MF_fpn_ms-poly-3x_coco.py',
    'mmdet::res2net/faster-rcnn_res2net-101_fpn_2x_coco.py',
    'mmdet::resnest/faster-rcnn_s50_fpn_syncbn-backbone+head_ms-range-1x_coco.py',
    'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py',
    'mmdet::tridentnet/tridentnet_r50-caffe_1x_coco.py',
    'mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py',
    'mmdet::yolox/yolox_nano_8xb8-300e_coco.py',
    'mmseg::bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py',
    'mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
    'mmseg::ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',
    'mmseg::erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024.py',
    'mmseg::hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::icnet/icnet_r18-d8_4xb2-80k_cityscapes-832x832.py',
    'mmseg::mobilenet_v2/mobilenet-v2-d8_pspnet_4xb2-80k_cityscapes-512x1024.py',
    'mmseg::mobilenet_v3/mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024.py',
    'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
]
MSCAN = 'mmseg::segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py'
# For each adapter a config of these that needs it.
NEEDS = {
    adapters.gate: 'mobilenet-v3',
    adapters.stem_of_tokens: 'mscan',
    adapters.conv_module: 'rtmdet',
    adapters.conv_norm_unit: 'erfnet',
    adapters.conv_norm_sequence: 'hr18s',
    adapters.split_attention: 'resnest',
    adapters.csp_layer: 'rtmdet',
    adapters.darknet_block: 'yolov3',
    adapters.residual_block: 'retinanet_r18',
}
# Of AmoebaNet, and of blocks in plain PyTorch; tests/test_injection/test_adapters has
# these.
OF_OTHERS = {adapters.cell, adapters.block_with_sum}
REFUSED = [
    'mmdet::pvt/retinanet_pvt-t_fpn_1x_coco.py',
    'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'mmseg::vit/vit_deit-s16_upernet_8xb2-80k_ade20k-512x512.py',
]
# Of which every conv-norm in a block, and every skip connection, is to be a site.
SERVED = {
    *('ResNet', 'ResNetV1c', 'ResNetV1d', 'ResNeXt', 'RegNet', 'Res2Net', 'ResNeSt'),
    *('DetectoRS_ResNet', 'TridentResNet', 'HRNet', 'ICNet', 'BiSeNetV1'),
    *('MobileNetV2', 'Darknet', 'CSPDarknet', 'CSPNeXt'),
}
# Networks whose blocks have no norm of maps after a convolution.
REFUSED_KINDS = {
    'SSDVGG',
    *('BEiT', 'MAE', 'MixVisionTransformer', 'PCPVT', 'PyramidVisionTransformer'),
    *('PyramidVisionTransformerV2', 'SVT', 'SwinTransformer', 'VisionTransformer'),
    'MSCAN',
    *('mmpretrain.ConvNeXt', 'mmpretrain.PoolFormer'),
}
NOT_BUILT = {'VPD'}  # it needs packages beyond the stack
# Blocks by the names of their classes, which the rules of injection hardly look at,
# and the attributes of which one says whether there is a skip connection.
BLOCKS_WITH_SKIP = {
    'BasicBlock': (),
    'Bottle2neck': (),
    'Bottleneck': (),
    'TridentBottleneck': (),
    'ResBlock': (),
    'CSPLayer': (),
    'InvertedResidual': ('with_res_shortcut', 'use_res_connect'),
    'DarknetBottleneck': ('add_identity',),
    'CSPNeXtBlock': ('add_identity',),
}


def blocks_with_skip(model):
    """The owners that sites on skip connections should have, by name."""
    for name, module in model.named_modules():
        flags = BLOCKS_WITH_SKIP.get(type(module).__name__)
        if flags is None or (flags and not any(getattr(module, f, 0) for f in flags)):
            continue
        yield f'{name}.short_conv' if hasattr(module, 'short_conv') else name


def check_backbone(package, config):
    """Check one as :func:`check_is_served` does, and what its sites are."""
    torch.manual_seed(0)
    model = builder(package, config)()
    # Deformable convolutions need maps larger than their kernel.
    side = 128 if "'DCN'" in str(config) or 'sac' in config else 64
    images = torch.randn(2, config.get('in_channels', 3), side, side)
    sites, missed = check_is_served(model, images)
    if config['type'] in SERVED:
        reached = [site.module for site in sites if site.place.kind == 'shortcut']
        assert sorted(reached) == sorted(blocks_with_skip(model))
        assert all(is_in_stem(model, norm) for _, norm in missed), missed
    return sites


def is_in_stem(model, name):
    """Whether a module is beside a network's layers, or in a ``stem`` beside them."""
    beside = re.sub(r'\bstem\.\d+$', 'stem', name)
    return hasattr(model.get_submodule(beside.rpartition('.')[0]), 'layer1')


def backbone_of(name):
    package, _, below = name.partition('::')
    stock = read_config(package, below)
    assert not stock.problem
    return package, next(backbones_of(stock.model))[1]


@pytest.mark.parametrize('name', SPREAD)
def test_a_stock_backbone_is_served(name):
    assert check_backbone(*backbone_of(name))


@pytest.mark.parametrize('name', SPREAD)
def test_the_end_of_every_residual_branch_is_found(name):
    torch.manual_seed(0)
    package, config = backbone_of(name)
    model = builder(package, config)()
    side = 128 if "'DCN'" in str(config) or 'sac' in config else 64
    images = torch.randn(2, config.get('in_channels', 3), side, side)
    for module in model.modules():
        if type(module).__name__ == 'TridentConv':  # begins with what memory holds
            nn.init.kaiming_normal_(module.weight)
    if 'erfnet' in name:  # of which no block says by its structure that it adds
        with pytest.raises(ValueError, match=r"where='branch' .* no site for DropPath"):
            inject(model, [dict(module='')], layer='DropPath')
        return
    owners = {site.place.owner for site in check_branches(model, images)}
    shortcuts = inject_drop_block(model, [dict(module='', where='shortcut')])
    # The short path of a CSP layer passes all its blocks by and is added to none.
    added = [s for s in shortcuts if '.short_conv' not in f'.{s.module}']
    assert owners == {site.place.owner for site in added}


@pytest.mark.parametrize(('adapter', 'part'), NEEDS.items())
def test_the_spread_needs_every_adapter(adapter, part):
    (name,) = [name for name in [*SPREAD, MSCAN] if part in name]
    model = build_on_meta(builder(*backbone_of(name)))
    assert any(adapter(module) is not None for module in model.modules())


def test_every_adapter_is_needed():
    assert {*NEEDS} | OF_OTHERS == {*adapters.ADAPTERS}
    assert not {*NEEDS} & OF_OTHERS


@pytest.mark.parametrize('name', REFUSED)
def test_a_transformer_is_refused(name):
    model = builder(*backbone_of(name))()
    with pytest.raises(ValueError, match='no site for DropBlock: its norms are LayerN'):
        inject_drop_block(model, [dict(module='')])


def test_a_backbone_is_refused_that_has_sites_in_its_stem_alone():
    """MSCAN, which is convolutional, but norms before it convolves."""
    model = builder(*backbone_of(MSCAN))()
    with pytest.raises(ValueError, match='norms of its blocks come before the conv'):
        inject_drop_block(model, [dict(module='')])


def distinct_backbones(package):
    """{key: (name of a config, config of its backbone)}."""
    found = {}
    for stock in stock_configs(package):
        for _, config in backbones_of(stock.model or {}):
            config = without(config)
            found.setdefault(key_of(config), (stock.name, config))
    return found.values()


@pytest.mark.nightly
@pytest.mark.parametrize('package', ['mmdet', 'mmseg'])
def test_every_stock_backbone_is_served_or_refused(package):
    results, problems = collections.Counter(), []
    for name, config in distinct_backbones(package):
        kind = config['type']
        try:
            if kind in REFUSED_KINDS:
                with pytest.raises(ValueError, match='no site for DropBlock'):
                    inject_drop_block(builder(package, config)(), [dict(module='')])
            elif kind not in NOT_BUILT:
                check_backbone(package, config)
        except Exception as error:
            problems.append(f'{name}: {type(error).__name__}: {error}')
        results[kind in SERVED, kind] += 1
    print(*sorted(results.items()), sep='\n')
    assert not problems, '\n'.join(problems)
    assert sum(n for (served, _), n in results.items() if served) > 20
