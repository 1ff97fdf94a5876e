"""Necks and heads of mmdet's and mmseg's own configs, really run."""

import collections

import pytest
import torch

from dropblock_mm import inject_drop_block
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.analysis.sites.part_runs import run_parts
from dropblock_mm.analysis.sites.stock_models import (
    PACKAGES,
    builder,
    key_of,
    read_config,
    stock_configs,
    without,
)

# (config, parts of it that are to be reached)
MODELS = [
    ('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', 'neck bbox_head'),  # FPN
    ('mmdet::pafpn/faster-rcnn_r50_pafpn_1x_coco.py', 'neck'),
    ('mmdet::nas_fpn/retinanet_r50_nasfpn_crop640-50e_coco.py', 'neck bbox_head'),
    ('mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py', 'neck bbox_head'),
    ('mmdet::yolox/yolox_nano_8xb8-300e_coco.py', 'neck bbox_head'),  # YOLOXPAFPN
    ('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py', 'neck bbox_head'),
    ('mmdet::hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py', 'neck'),  # HRFPN
    (
        'mmdet::fcos/fcos_r18_fpn_gn-head-center-normbbox-centeronreg-giou_8xb8-amp-lsj-'
        '200e_coco.py',
        'neck bbox_head',
    ),
    ('mmdet::atss/atss_r18_fpn_8xb8-amp-lsj-200e_coco.py', 'neck bbox_head'),
    ('mmdet::gfl/gfl_r50_fpn_1x_coco.py', 'neck bbox_head'),
    ('mmdet::solo/solo_r50_fpn_1x_coco.py', 'neck mask_head'),
    ('mmdet::rpn/rpn_r50_fpn_1x_coco.py', 'neck'),
    (
        'mmdet::gn/mask-rcnn_r50_fpn_gn-all_2x_coco.py',
        'neck roi_head.bbox_head roi_head.mask_head',
    ),
    ('mmdet::detr/detr_r18_8xb2-500e_coco.py', 'neck'),
    ('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', 'panoptic_head'),
    (
        'mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'decode_head auxiliary_head',
    ),
    (
        'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'decode_head auxiliary_head',
    ),
    (
        'mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'decode_head',
    ),
    (
        'mmseg::deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'decode_head',
    ),
    ('mmseg::upernet/upernet_r18_4xb2-40k_cityscapes-512x1024.py', 'decode_head'),
    ('mmseg::sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py', 'neck decode_head'),
    ('mmseg::ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py', 'decode_head'),
    ('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', 'decode_head'),
]


@pytest.mark.parametrize(('name', 'parts'), MODELS, ids=lambda value: value)
def test_necks_and_heads_have_sites_that_run(name, parts):
    package, _, below = name.partition('::')
    stock = read_config(package, below)
    assert not stock.problem
    model = builder(package, stock.model)()
    model.train()
    targets = [dict(module=part) for part in parts.split()]
    sites = inject_drop_block(model, targets, keep_prob=0.5, block_size=2)
    run_parts(model, torch.randn(2, 3, 128, 128))
    idle = [site.module for site in sites if not site.layer.seen_units]
    assert not idle
    dropped = [site for site in sites if site.layer.kept_units < site.layer.seen_units]
    assert len(dropped) > 0.9 * len(sites)  # maps of one unit may all be kept


@pytest.mark.nightly
@pytest.mark.parametrize('package', PACKAGES)
def test_every_stock_model_can_be_injected(package):
    """Whole models; what differs in depth, losses and the like counts once."""
    done, results, problems = set(), collections.Counter(), []
    for stock in stock_configs(package):
        key = key_of(
            without(stock.model, ('init_cfg', 'train_cfg', 'depth', 'test_cfg'))
        )
        if stock.model is None or key in done:
            continue
        done.add(key)
        try:
            model = build_on_meta(builder(package, stock.model))
        except Exception as error:
            results[f'not built: {type(error).__name__}'] += 1
            continue
        try:
            results['served'] += bool(inject_drop_block(model, [dict(module='')]))
        except ValueError as error:
            if 'no site for DropBlock' in str(error):
                results['refused'] += 1
            else:
                problems.append(f'{stock.name}: {error}')
    print(dict(results))
    assert not problems, '\n'.join(problems)
    assert results['served'] > 100
