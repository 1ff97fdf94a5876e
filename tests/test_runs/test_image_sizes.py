"""How large the images are that a config trains on."""

import pytest
from mmengine.config import Config

from dropblock_mm.config_files import config_path, resolve_config
from dropblock_mm.runs.image_sizes import fixed_image_size, nominal_image_size

SCRATCH = config_path('retinanet/retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py')


def config_of(*steps, **preprocessor):
    dataset = dict(pipeline=list(steps))
    model = dict(data_preprocessor=preprocessor)
    return Config(dict(model=model, train_dataloader=dict(dataset=dataset)))


@pytest.mark.parametrize(
    ('name', 'size'),
    [
        (SCRATCH, (640, 640)),
        ('mmdet::rtmdet/rtmdet_l_8xb32-300e_coco.py', (640, 640)),
        ('mmdet::atss/atss_r50_fpn_8xb8-amp-lsj-200e_coco.py', (1024, 1024)),
        ('mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py', (512, 512)),
        ('mmseg::unet/unet-s5-d16_fcn_4xb4-40k_drive-64x64.py', (64, 64)),
    ],
)
def test_a_fixed_size(name, size):
    cfg = Config.fromfile(resolve_config(name))
    assert fixed_image_size(cfg) == nominal_image_size(cfg) == size


@pytest.mark.parametrize(
    ('name', 'size'),
    [
        ('retinanet/retinanet_r50_fpn_1x_coco.py', (800, 1344)),  # padded by 32
        ('detr/detr_r50_8xb2-150e_coco.py', (800, 1333)),  # not padded
        ('faster_rcnn/faster-rcnn_r50_fpn_ms-3x_coco.py', (800, 1344)),
        ('pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py', (608, 1024)),
        ('yolo/yolov3_d53_8xb8-ms-608-273e_coco.py', (608, 608)),
        ('ssd/ssd300_coco.py', (300, 300)),
        ('yolox/yolox_tiny_8xb8-300e_coco.py', (640, 640)),
        ('reid/reid_r50_8xb32-6e_mot17train80_test-mot17val20.py', (256, 128)),
    ],
)
def test_a_large_image_where_the_size_varies(name, size):
    cfg = Config.fromfile(resolve_config(f'mmdet::{name}'))
    assert fixed_image_size(cfg) is None
    assert nominal_image_size(cfg) == size


def test_a_classifier_stacks_images_of_one_size():
    crop = dict(type='RandomResizedCrop', scale=224)
    cfg = config_of(crop)
    assert fixed_image_size(cfg) is None
    cfg.default_scope = 'mmpretrain'
    assert fixed_image_size(cfg) == (224, 224)


def test_padding_is_given_width_first():
    assert fixed_image_size(config_of(dict(type='Pad', size=(640, 480)))) == (480, 640)


@pytest.mark.parametrize(
    ('steps', 'size'),
    [
        # As mmpretrain's for ImageNet and CIFAR.
        ([dict(type='RandomResizedCrop', scale=224)], (224, 224)),
        ([dict(type='RandomCrop', crop_size=32, padding=4)], (32, 32)),
        # A crop that is a share of the image says nothing.
        (
            [
                dict(type='Resize', scale=(90, 60)),
                dict(type='RandomCrop', crop_size=(0.5, 1.0), crop_type='relative'),
            ],
            (60, 90),
        ),
        ([dict(type='Resize', scale_factor=2.0)], None),
        ([], None),
    ],
)
def test_the_last_step_that_sets_a_size_counts(steps, size):
    assert nominal_image_size(config_of(*steps)) == size


def test_a_config_without_training_data_has_no_size():
    assert nominal_image_size(Config(dict(model=dict()))) is None
