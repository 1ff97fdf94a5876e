"""Small heads and segmentors, and the maps, labels and images they are given."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData

CLASSES = 5
NORM = dict(type='BN', requires_grad=True)
MODEL = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[0.0] * 3,
        std=[1.0] * 3,
        size=(64, 64),
        test_cfg=dict(size_divisor=8),
    ),
    backbone=dict(
        type='ResNet', depth=18, base_channels=4, out_indices=(1, 2, 3), norm_cfg=NORM
    ),
    neck=dict(type='FPN', in_channels=[8, 16, 32], out_channels=8, num_outs=3),
    decode_head=dict(
        type='dropblock_mm.RetinaSegHead',
        in_channels=[8, 8, 8],
        channels=8,
        num_convs=1,
        num_classes=CLASSES,
        norm_cfg=NORM,
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)


@pytest.fixture
def build_head():
    """A function that builds a RetinaSegHead of three levels of 8 channels."""

    def build(**options):
        init_default_scope('mmseg')
        settings = dict(
            type='dropblock_mm.RetinaSegHead',
            in_channels=[8, 8, 8],
            channels=8,
            num_classes=CLASSES,
        )
        head = MODELS.build({**settings, **options})
        head.init_weights()
        return head

    return build


@pytest.fixture
def pyramid():
    """A function that makes the maps of two images."""

    def make(sizes=((9, 9), (5, 5), (3, 3)), channels=8):
        torch.manual_seed(0)
        return [torch.randn(2, channels, *size) for size in sizes]

    return make


@pytest.fixture
def samples():
    """A function that makes random labels, a quarter of them 255."""
    from mmseg.structures import SegDataSample

    def make(height, width, images=2, classes=CLASSES):
        generator = torch.Generator().manual_seed(0)
        found = []
        for _ in range(images):
            labels = torch.randint(0, classes, (1, height, width), generator=generator)
            labels[:, : height // 4] = 255
            meta = dict(img_shape=(height, width), ori_shape=(height, width))
            sample = SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=meta)
            found.append(sample)
        return found

    return make


@pytest.fixture
def build_segmentor():
    """A function that builds MODEL with changes, merged as configs are."""

    def build(**changes):
        init_default_scope('mmseg')
        torch.manual_seed(0)
        config = Config(dict(model=MODEL))
        config.merge_from_dict(dict(model=changes))
        model = MODELS.build(config.model)
        model.init_weights()
        return model

    return build


@pytest.fixture
def batch():
    """A function that makes two images and their labels."""
    from mmseg.structures import SegDataSample

    def make(height=64, width=64):
        torch.manual_seed(1)
        shape = (height, width)
        samples = [
            SegDataSample(
                gt_sem_seg=PixelData(data=torch.randint(0, CLASSES, (1, *shape))),
                metainfo=dict(img_shape=shape, ori_shape=shape, img_path='a.jpg'),
            )
            for _ in range(2)
        ]
        images = list(torch.randint(0, 255, (2, 3, *shape), dtype=torch.uint8))
        return dict(inputs=images, data_samples=samples)

    return make


@pytest.fixture
def predict():
    """A function that returns the logits Tensor[C, H, W] of each image."""

    def run(model, data):
        return [s.seg_logits.data for s in model.eval().test_step(data)]

    return run
