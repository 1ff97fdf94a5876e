"""Stock models of the three libraries have maps, or refuse in one message.

Weights are random, which decides what is found and not whether a map of it is made.
"""

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.analysis.activation_maps.explain import explain
from dropblock_mm.analysis.trained.images import own_example, user_pipeline
from dropblock_mm.errors import RefusedValueError
from tools.dev.time_maps import stock_model

pytestmark = pytest.mark.nightly

SIZE = (320, 224)

DETECTORS = [
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    'yolox/yolox_tiny_8xb8-300e_coco.py',
    'detr/detr_r18_8xb2-500e_coco.py',
    'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'retinanet/retinanet_r18_fpn_1x_coco.py',
    'centernet/centernet_r18_8xb16-crop512-140e_coco.py',
    'faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py',
    'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    'yolact/yolact_r50_1xb8-55e_coco.py',
    'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py',
    'paa/paa_r50_fpn_1x_coco.py',
]
SEGMENTORS = [
    'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'pspnet/pspnet_r50-d8_4xb4-20k_voc12aug-512x512.py',
    'deeplabv3plus/deeplabv3plus_r50-d8_4xb4-20k_voc12aug-512x512.py',
    'mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py',
    'upernet/upernet_r50_4xb4-20k_voc12aug-512x512.py',
    'ocrnet/ocrnet_hr18s_4xb4-20k_voc12aug-512x512.py',
    'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'encnet/encnet_r50-d8_4xb4-20k_voc12aug-512x512.py',
    'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py',
]
CLASSIFIERS = [
    'resnet/resnet18_8xb32_in1k.py',
    'mobilenet_v2/mobilenet-v2_8xb32_in1k.py',
    'efficientnet/efficientnet-b0_8xb32_in1k.py',
    'swin_transformer/swin-tiny_16xb64_in1k.py',
    'deit/deit-tiny_4xb256_in1k.py',
    'deit/deit-tiny-distilled_4xb256_in1k.py',
    't2t_vit/t2t-vit-t-14_8xb64_in1k.py',
    'convnext/convnext-tiny_32xb128_in1k.py',
    'convnext_v2/convnext-v2-atto_32xb32_in1k.py',
    'vgg/vgg11_8xb32_in1k.py',
    'edgenext/edgenext-xxsmall_8xb256_in1k.py',
    'inception_v3/inception-v3_8xb32_in1k.py',
    'xcit/xcit-nano-12-p16_8xb128_in1k.py',
    'efficientformer/efficientformer-l1_8xb128_in1k.py',
    'hornet/hornet-tiny_8xb128_in1k.py',
    'tinyvit/tinyvit-5m_8xb256_in1k.py',
]


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    pixels = np.random.default_rng(0).integers(0, 256, (14, 20, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp('photo') / 'photo.png'
    Image.fromarray(pixels).resize(SIZE).save(path)
    return path


def explained(name, photo, **asked):
    trained = stock_model(name, SIZE)
    return explain(trained, own_example(user_pipeline(trained), photo), **asked)


@pytest.mark.parametrize(
    'name',
    [
        *(f'mmdet::{name}' for name in DETECTORS),
        *(f'mmseg::{name}' for name in SEGMENTORS),
        *(f'mmpretrain::{name}' for name in CLASSIFIERS),
    ],
)
def test_a_map_is_made(name, photo):
    found = explained(name, photo)
    assert found is not None
    assert found.activation.ndim == 2
    assert np.isfinite(found.activation).all()
    assert found.activation.min() >= 0
    assert (found.box is not None) == name.startswith('mmdet::')


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', 'predicts no boxes'),
        ('mmdet::maskformer/maskformer_r50_ms-16xb1-75e_coco.py', 'instance_on=True'),
        ('mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py', "asks for 'proposals'"),
        ('mmpretrain::tnt/tnt-s-p16_16xb64_in1k.py', 'gave no map'),
        ('mmpretrain::conformer/conformer-tiny-p16_8xb128_in1k.py', 'has no gradient'),
    ],
)
def test_what_has_none_is_refused_in_one_message(name, told, photo):
    with pytest.raises(RefusedValueError, match=told):
        explained(name, photo)


@pytest.mark.parametrize(
    'name',
    ['solo/solo_r50_fpn_1x_coco.py', 'solov2/solov2-light_r18_fpn_ms-3x_coco.py'],
)
def test_a_category_of_solo_has_one(name, photo):
    trained = stock_model(f'mmdet::{name}', SIZE)
    # Random weights leave masks under the thresholds.
    trained.model.mask_head.test_cfg.update(filter_thr=-1.0, mask_thr=0.0)
    found = explain(trained, own_example(user_pipeline(trained), photo))
    assert found.activation.any()
    assert any(found.box)


@pytest.mark.parametrize(
    ('name', 'instead'),
    [
        ('vgg/vgg11_8xb32_in1k.py', 'backbone.features.12'),
        ('convnext/convnext-tiny_32xb128_in1k.py', 'backbone.stages.3'),
        ('deit/deit-tiny_4xb256_in1k.py', 'backbone.layers.11.ln1'),
    ],
)
def test_the_layer_that_is_named_instead_of_a_vector_has_one(name, instead, photo):
    with pytest.raises(RefusedValueError, match=f"such as '{instead}'"):
        explained(f'mmpretrain::{name}', photo, layer='backbone')
    found = explained(f'mmpretrain::{name}', photo, layer=instead)
    usual = explained(f'mmpretrain::{name}', photo)
    assert np.array_equal(found.activation, usual.activation)
