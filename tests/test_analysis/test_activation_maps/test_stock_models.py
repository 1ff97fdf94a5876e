"""Stock models of the three libraries have maps, or refuse in one message.

Weights are random, which decides what is found and not whether a map of it is made.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from dropblock_mm.analysis.activation_maps.explain import explain
from dropblock_mm.analysis.activation_maps.explanation import batch_of
from dropblock_mm.analysis.trained.images import own_example, user_pipeline
from dropblock_mm.analysis.trained.truth import Truth
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
    'atss/atss_r50_fpn_1x_coco.py',
    'gfl/gfl_r50_fpn_1x_coco.py',
    'vfnet/vfnet_r50_fpn_1x_coco.py',
    'yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py',
    'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py',
    'htc/htc-without-semantic_r50_fpn_1x_coco.py',
    'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py',
    'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    'conditional_detr/conditional-detr_r50_8xb2-50e_coco.py',
    'dab_detr/dab-detr_r50_8xb2-50e_coco.py',
    'dino/dino-4scale_r50_8xb2-12e_coco.py',
    'ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py',
    'tood/tood_r50_fpn_1x_coco.py',
    'reppoints/reppoints-moment_r50_fpn_1x_coco.py',
    'foveabox/fovea_r50_fpn_4xb4-1x_coco.py',
    'fsaf/fsaf_r50_fpn_1x_coco.py',
    'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py',
    'grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco.py',
    'double_heads/dh-faster-rcnn_r50_fpn_1x_coco.py',
    'sabl/sabl-faster-rcnn_r50_fpn_1x_coco.py',
    'yolof/yolof_r50-c5_8xb8-1x_coco.py',
    'nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco.py',
    'autoassign/autoassign_r50-caffe_fpn_1x_coco.py',
    'ms_rcnn/ms-rcnn_r50-caffe_fpn_1x_coco.py',
    'free_anchor/freeanchor_r50_fpn_1x_coco.py',
    'rpn/rpn_r50_fpn_1x_coco.py',
    'dyhead/atss_r50_fpn_dyhead_1x_coco.py',
    'pvt/retinanet_pvt-t_fpn_1x_coco.py',
    'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py',
    'crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py',
    'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
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
    'psanet/psanet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py',
    'bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py',
    'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
    'stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
    'cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py',
    'erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024.py',
    'icnet/icnet_r50-d8_4xb2-80k_cityscapes-832x832.py',
    'segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py',
    'segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py',
    'knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py',
    'maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py',
    'point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py',
    'poolformer/fpn_poolformer_s12_8xb4-40k_ade20k-512x512.py',
    'sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py',
    'twins/twins_pcpvt-s_fpn_fpnhead_8xb4-80k_ade20k-512x512.py',
    'vit/vit_deit-s16_upernet_8xb2-160k_ade20k-512x512.py',
    'ann/ann_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'ccnet/ccnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'danet/danet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'dmnet/dmnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'emanet/emanet_r50-d8_4xb2-80k_cityscapes-512x1024.py',
    'fastfcn/fastfcn_r50-d32_jpu_aspp_4xb2-80k_cityscapes-512x1024.py',
    'isanet/isanet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'gcnet/gcnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'dnlnet/dnl_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'nonlocal_net/nonlocal_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'apcnet/apcnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py',
    'hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024.py',
    'deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py',
    'dpt/dpt_vit-b16_8xb2-160k_ade20k-512x512.py',
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
    'mlp_mixer/mlp-mixer-base-p16_64xb64_in1k.py',
    'densenet/densenet121_4xb256_in1k.py',
    'hrnet/hrnet-w18_4xb32_in1k.py',
    'regnet/regnetx-400mf_8xb128_in1k.py',
    'repvgg/repvgg-A0_8xb32_in1k.py',
    'mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py',
    'swin_transformer_v2/swinv2-tiny-w8_16xb64_in1k-256px.py',
    'levit/levit-128s_8xb256_in1k.py',
    'mvit/mvitv2-tiny_8xb256_in1k.py',
    'vig/vig-tiny_8xb128_in1k.py',
    'shufflenet_v2/shufflenet-v2-1x_16xb64_in1k.py',
    'res2net/res2net50-w14-s8_8xb32_in1k.py',
    'seresnet/seresnet50_8xb32_in1k.py',
    'davit/davit-tiny_4xb256_in1k.py',
    'van/van-tiny_8xb128_in1k.py',
    'mobilevit/mobilevit-xxsmall_8xb128_in1k.py',
    'poolformer/poolformer-s12_32xb128_in1k.py',
    'riformer/riformer-s12_8xb128_in1k.py',
    'twins/twins-pcpvt-small_8xb128_in1k.py',
    'cspnet/cspdarknet50_8xb32_in1k.py',
    'repmlp/repmlp-base_8xb64_in1k.py',
    'mobileone/mobileone-s0_8xb32_in1k.py',
    'convmixer/convmixer-768-32_10xb64_in1k.py',
    'vision_transformer/vit-base-p16_64xb64_in1k.py',
    'beit/benchmarks/beit-base-p16_8xb128-coslr-100e_in1k.py',
    'eva02/eva02-tiny-p14_in1k.py',
    'revvit/revvit-small_8xb256_in1k.py',
    'efficientnet_v2/efficientnetv2-b0_8xb32_in1k.py',
    'shufflenet_v1/shufflenet-v1-1x_16xb64_in1k.py',
    'resnext/resnext50-32x4d_8xb32_in1k.py',
    'hivit/hivit-tiny-p16_16xb64_in1k.py',
    'tnt/tnt-s-p16_16xb64_in1k.py',
    'conformer/conformer-tiny-p16_8xb128_in1k.py',
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


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_the_class_that_is_explained_is_the_one_that_is_predicted(name, photo):
    trained = stock_model(f'mmpretrain::{name}', SIZE)
    example = own_example(user_pipeline(trained), photo)
    found = explain(trained, example)
    with torch.no_grad():
        (sample,) = trained.model(**batch_of(trained, example), mode='predict')
    # Random weights may leave all classes alike, and which is the surest open.
    scores = sample.pred_score.tolist()
    assert found.score == pytest.approx(scores[found.target.label], rel=1e-4)
    assert found.score == pytest.approx(max(scores), rel=1e-4)


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('mmdet::maskformer/maskformer_r50_ms-16xb1-75e_coco.py', 'instance_on=True'),
        ('mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py', "asks for 'proposals'"),
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


def test_maskformer_has_one_by_the_option_that_the_refusal_names(photo):
    trained = stock_model('mmdet::maskformer/maskformer_r50_ms-16xb1-75e_coco.py', SIZE)
    trained.model.panoptic_fusion_head.test_cfg.instance_on = True
    example = own_example(user_pipeline(trained), photo)
    maps = []
    for label in (3, 5):  # random weights may tell of stuff alone
        bias = trained.model.panoptic_head.cls_embed.bias.data
        bias.zero_()[label] = 8
        maps.append(explain(trained, example, Truth(label)).activation)
    assert all(map_.any() for map_ in maps)
    assert not np.allclose(*maps)
