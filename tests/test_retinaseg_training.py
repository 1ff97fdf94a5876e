"""How the configs of Table 4 train and test, setting by setting, with its source.

Sources as in test_retinaseg_configs.py: the paper, and the authors' code (TPU).
"""

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import LinearLR, MultiStepLR, build_optim_wrapper
from mmengine.registry import MODELS, TRANSFORMS, init_default_scope
from torch import nn

pytest.importorskip('mmseg')
FOLDER = Path(__file__).resolve().parents[1] / 'configs/retinaseg'
SCRATCH = 'retinaseg_r101_fpn_8xb8-500e-scratch_voc12aug-513x513.py'
TUNED = 'retinaseg_r101_fpn_8xb8-45e_voc12aug-513x513.py'


def read(name):
    config = Config.fromfile(FOLDER / name)
    init_default_scope(config.default_scope)
    return config


@pytest.fixture(scope='module')
def model():
    return MODELS.build(read(SCRATCH).model)


def test_preprocessing(model):
    from mmseg.structures import SegDataSample

    preprocessor = model.data_preprocessor
    # TPU dataloader: ImageNet's mean and deviation of RGB in [0, 1]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(preprocessor.mean.flatten() / 255, mean)
    torch.testing.assert_close(preprocessor.std.flatten() / 255, std)
    blue = torch.zeros(3, 9, 9, dtype=torch.uint8)
    blue[0] = 255  # images are read as blue, green, red
    data = dict(inputs=[blue], data_samples=[SegDataSample()])
    seen = preprocessor(data, False)['inputs'][0, :, 0, 0]
    torch.testing.assert_close(seen.cpu(), (torch.tensor([0.0, 0, 1]) - mean) / std)
    # pad_to_bounding_box(513) after normalize_image; labels with 255
    assert preprocessor.size == preprocessor.test_cfg['size'] == (513, 513)
    assert (preprocessor.pad_val, preprocessor.seg_pad_val) == (0, 255)


@pytest.fixture
def image_file(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((375, 500, 3), 200, np.uint8))
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((375, 500), 7, np.uint8))
    return dict(
        img_path=str(tmp_path / 'a.jpg'),
        seg_map_path=str(tmp_path / 'a.png'),
        reduce_zero_label=False,
        seg_fields=[],
        label_map=None,
    )


def test_training_pipeline(image_file):
    """TPU dataloader: SegmentationInputProcessor; model: train_scale_min and _max."""
    dataset = read(SCRATCH).train_dataloader.dataset.datasets[0]
    pipeline = Compose([TRANSFORMS.build(step) for step in dataset.pipeline])
    longest, flips = [], []
    for seed in range(60):
        np.random.seed(seed)
        packed = pipeline(copy.deepcopy(image_file))
        sample = packed['data_samples']
        assert packed['inputs'].shape[1:] == sample.gt_sem_seg.data.shape[1:]
        assert max(sample.img_shape) <= 513  # the rest is padded by the model
        longest.append(500 * sample.scale_factor[0] / 513)
        flips.append(bool(sample.flip))
    assert 0.74 < min(longest) < 0.8
    assert 1.4 < max(longest) < 1.51
    assert 15 < sum(flips) < 45


def test_test_pipeline(image_file):
    dataset = read(SCRATCH).val_dataloader.dataset
    packed = Compose([TRANSFORMS.build(step) for step in dataset.pipeline])(image_file)
    assert packed['inputs'].shape == (3, 385, 513)  # set_scale_factors_to_output_size
    assert packed['data_samples'].gt_sem_seg.data.shape == (1, 375, 500)


def test_training_and_validation_lists():
    """10,582 and 1,449 images in the paper: train and SBD's aug; val."""
    config = read(SCRATCH)
    parts = config.train_dataloader.dataset.datasets
    assert [part.ann_file.split('/')[-1] for part in parts] == ['train.txt', 'aug.txt']
    assert [part.data_prefix.seg_map_path for part in parts] == [
        'SegmentationClass',
        'SegmentationClassAug',
    ]
    assert config.val_dataloader.dataset.ann_file.endswith('/val.txt')
    assert config.val_evaluator == dict(type='IoUMetric', iou_metrics=['mIoU'])
    assert config.train_dataloader.batch_size == 8  # of 64 on 8 GPUs: main, 4.4


def test_optimizer(model):
    wrapper = build_optim_wrapper(model, read(SCRATCH).optim_wrapper)
    optimizer = wrapper.optimizer
    assert isinstance(optimizer, torch.optim.SGD)
    # TPU model: learning_rate=0.02, momentum=0.9, weight_decay=1e-5
    assert optimizer.defaults['lr'] == 0.02
    assert optimizer.defaults['momentum'] == 0.9
    norms = {
        id(p)
        for m in model.modules()
        if isinstance(m, nn.BatchNorm2d)
        for p in m.parameters()
    }
    decays = {}
    for group in optimizer.param_groups:
        for parameter in group['params']:
            assert id(parameter) not in decays
            decays[id(parameter)] = (group['weight_decay'], id(parameter) in norms)
    # weight_decay * l2_loss of all but 'batch_normalization'
    assert set(decays.values()) == {(1e-5, False), (0.0, True)}
    assert set(decays) == {id(p) for p in model.parameters()}


@pytest.mark.parametrize(
    ('name', 'epochs', 'drops'), [(TUNED, 45, (25, 35)), (SCRATCH, 500, (278, 389))]
)
def test_schedule(name, epochs, drops):
    config = read(name)
    assert config.train_cfg.type == 'EpochBasedTrainLoop'
    assert config.train_cfg.max_epochs == epochs  # TPU main: num_epochs=45; paper: 500
    warm_up, steps = config.param_scheduler
    # TPU model: lr_warmup_init=0.002, lr_warmup_epoch=1, first_lr_drop_epoch=25, ...
    assert tuple(steps.milestones) == drops
    assert drops == tuple(round(epochs * drop / 45) for drop in (25, 35))
    assert config.auto_scale_lr.base_batch_size == 64
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.02)
    per_epoch = 165
    linear = LinearLR.build_iter_from_epoch(
        optimizer,
        start_factor=warm_up.start_factor,
        begin=warm_up.begin,
        end=warm_up.end,
        epoch_length=per_epoch,
    )
    multi = MultiStepLR(optimizer, milestones=steps.milestones, gamma=steps.gamma)
    rates = []
    for _ in range(2 * per_epoch):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        linear.step()
    assert rates[0] == pytest.approx(0.002)
    assert rates[per_epoch // 2] == pytest.approx(0.011, rel=0.01)
    assert rates[per_epoch] == rates[-1] == pytest.approx(0.02)
    for _ in range(epochs - 1):
        optimizer.step()
        multi.step()
    assert optimizer.param_groups[0]['lr'] == pytest.approx(0.0002)


def test_fine_tuning_starts_from_imagenet():
    config = read(TUNED)
    assert config.model.backbone.init_cfg == dict(
        type='Pretrained', checkpoint='torchvision://resnet101'
    )
    config.model.backbone.init_cfg = None
    backbone = MODELS.build(config.model.backbone)
    backbone.train()
    frozen = {n for n, p in backbone.named_parameters() if not p.requires_grad}
    # TPU architecture: remove_variables leaves the first convolution out of training
    assert frozen == {'conv1.weight', 'bn1.weight', 'bn1.bias'}
