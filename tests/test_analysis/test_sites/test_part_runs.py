"""Whole models, run part by part."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from dropblock_mm import inject_drop_block
from dropblock_mm.analysis.sites.dry_run import build_on_meta, to_cpu, watch_maps
from dropblock_mm.analysis.sites.part_runs import run_parts
from dropblock_mm.config_files import resolve_config
from dropblock_mm.testing.toy import toy_resnet


def stock_model(name):
    """A stock model on the meta device."""
    cfg = Config.fromfile(resolve_config(name))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return build_on_meta(lambda: MODELS.build(cfg.model))


@pytest.mark.parametrize(
    'name',
    [
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py',
        'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
        'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        'mmdet::faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py',
        'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
        'mmdet::double_heads/dh-faster-rcnn_r50_fpn_1x_coco.py',
        'mmdet::detr/detr_r50_8xb2-150e_coco.py',
        'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.01-coco.py',
        'mmdet::dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py',
        'mmdet::detectors/detectors_htc-r50_1x_coco.py',
        'mmdet::grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco.py',
        'mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py',
        'mmdet::maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
        'mmdet::queryinst/queryinst_r50_fpn_1x_coco.py',
        'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        'mmseg::upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py',
        'mmseg::ocrnet/ocrnet_hr18s_4xb2-160k_cityscapes-512x1024.py',
        'mmseg::point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py',
    ],
)
def test_whole_models_are_reached_on_the_meta_device(name):
    model = stock_model(name)
    sites = inject_drop_block(model, [dict(module='')], block_size=2)
    sites = [site for site in sites if not site.module.startswith('teacher.')]
    with watch_maps(sites) as maps:
        run_parts(model, torch.empty(2, 3, 128, 128, device='meta'))
    unseen = [site.module for site, seen in zip(sites, maps, strict=True) if not seen]
    assert not unseen


def test_what_the_meta_device_cannot_do_the_cpu_can():
    model = stock_model('mmseg::psanet/psanet_r50-d8_4xb4-20k_voc12aug-512x512.py')
    sites = inject_drop_block(model, [dict(module='decode_head')])
    with watch_maps(sites) as maps:
        problems = run_parts(model, torch.empty(2, 3, 64, 64, device='meta'))
        assert 'psamask' in problems['decode_head[0]']
        assert not all(maps)
        run_parts(to_cpu(model), torch.zeros(2, 3, 64, 64))
    assert all(maps)


def test_a_part_that_fails_is_named_and_ends_nothing():
    class Broken(nn.Module):
        def forward(self, features):
            raise RuntimeError('first line\nsecond line')

    model = nn.ModuleDict(dict(backbone=toy_resnet(), b_head=Broken(), c_head=Broken()))
    assert run_parts(model, torch.randn(2, 3, 32, 32)) == {
        'b_head[0]': 'RuntimeError: first line',
        'c_head[0]': 'RuntimeError: first line',
    }
