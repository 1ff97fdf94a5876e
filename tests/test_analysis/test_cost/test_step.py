"""The operations and the time of a training step."""

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from dropblock_mm.config_files import config_path

DEMO = config_path('demo/retinanet_r18_fpn_dropblock_digit-scenes.py')
FASTER_RCNN = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_ms-3x_coco.py'


@pytest.fixture
def step(part):
    return part('step')


def test_operations_of_a_convolution(step):
    conv, x = nn.Conv2d(8, 16, 3, bias=False), torch.randn(2, 8, 12, 12)
    forward = 2 * 2 * 16 * 10 * 10 * 8 * 9
    count = step.count_flop
    assert count(lambda: conv(x)) == forward
    assert count(lambda: conv(x).sum().backward()) == 2 * forward
    x.requires_grad_()
    assert count(lambda: conv(x).sum().backward()) == 3 * forward


def test_the_constant_is_that_of_resnet_50(step, part):
    init_default_scope('mmdet')
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='ResNet', depth=50, out_indices=(3,)))
        head, x = nn.Linear(2048, 1000), torch.randn(1, 3, 224, 224)
    counted = step.count_flop(
        lambda: head(backbone(x)[0].mean((2, 3))).sum().backward()
    )
    assert counted / 1e12 == pytest.approx(part('gpus').RESNET50_TFLOP, rel=1e-3)


def test_images_cost_the_same_in_any_batch_with_drop_block_or_without(step, load):
    cfg = load(DEMO)
    init_default_scope('mmdet')
    two = step.measure(cfg, (64, 64), 2, 'cpu', 1)
    cfg.custom_hooks = []
    three = step.measure(cfg, (64, 64), 3, 'cpu', 1)
    assert two.tflop == three.tflop > 0
    assert (two.sites, three.sites) == (12, 0)


def test_two_stages(step, load):
    init_default_scope('mmdet')
    found = step.measure(load(FASTER_RCNN), (64, 64), 1, 'cpu', 1)
    assert found.tflop > 0.01


def test_drop_block_is_at_its_last_rate(step, load):
    init_default_scope('mmdet')
    cfg = load(DEMO)
    model = MODELS.build(cfg.model)
    assert step.add_drop_block(model, cfg) == 12
    assert model.backbone.layer4[0].conv1 is not None
    layers = [m for m in model.modules() if type(m).__name__ == 'DropBlock2d']
    assert {round(float(m.keep_prob), 6) for m in layers} == {0.9}


def test_warm_up_does_not_count(step, monkeypatch):
    wall, cores = iter([0, 9, 20, 23, 30, 31]), iter(range(6))
    monkeypatch.setattr(step.time, 'perf_counter', lambda: next(wall))
    monkeypatch.setattr(step.time, 'process_time', lambda: next(cores))
    monkeypatch.setitem(step.WARM_UP, 'cpu', 1)
    assert step.median_times(lambda: None, 2, 'cpu') == (2, 1)


def test_mixed_precision_is_left_to_gpus(step, load):
    cfg = load('mmdet::atss/atss_r50_fpn_8xb8-amp-lsj-200e_coco.py')
    cfg.optim_wrapper.loss_scale = 'dynamic'
    plain, amp = (step.optimizer_for(cfg, d) for d in ('cpu', 'cuda'))
    assert (plain['type'], amp['type']) == ('OptimWrapper', 'AmpOptimWrapper')
    assert 'loss_scale' not in plain


def test_a_classifier(step, load):
    """Its preprocessor stands beside the model, and its images are stacked."""
    pytest.importorskip('mmpretrain.models')
    init_default_scope('mmpretrain')
    cfg = load(config_path('demo/resnet18_dropblock_digit-images.py'))
    assert step.whole_model(cfg)['data_preprocessor'] == cfg.data_preprocessor
    found = step.measure(cfg, (32, 32), 2, 'cpu', 1)
    assert found.tflop > 0
    assert found.sites == 12


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_batches_have_a_class_that_every_model_has(step, scope):
    model = ConfigDict(roi_head=dict(mask_head=dict()))
    cfg = Config(dict(model=model, default_scope=scope))
    batch = step.random_batch(cfg, (32, 48), 3)
    assert [tuple(image.shape) for image in batch['inputs']] == [(3, 32, 48)] * 3
    for sample in batch['data_samples']:
        if scope == 'mmseg':
            assert sample.gt_sem_seg.data.unique().tolist() == [0]
        else:
            assert sample.gt_instances.labels.unique().tolist() == [0]
            assert len(sample.gt_instances.masks) == 7


def test_auto_counts_with_the_sites_of_training(step, load):
    cfg = load(DEMO)
    init_default_scope('mmdet')
    cfg.custom_hooks[0] = dict(
        type='dropblock_mm.DropBlockInjectionHook', targets='auto'
    )
    with torch.device('meta'):
        model = MODELS.build(step.whole_model(cfg))
    assert step.add_drop_block(model, cfg) == 12


@pytest.mark.parametrize(
    'convolution',
    [
        nn.Conv2d(8, 12, 3, padding=1),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),  # depthwise
        nn.Conv2d(8, 12, 3, groups=4, bias=False),
        nn.ConvTranspose2d(8, 12, 2, stride=2, groups=2),
    ],
)
def test_both_gradients_of_a_convolution_take_as_much_as_its_forward(step, convolution):
    """Torch counts them without groups."""
    x = torch.randn(2, 8, 9, 9, requires_grad=True)
    forward = step.count_flop(lambda: convolution(x))
    assert forward > 0
    trained = step.count_flop(lambda: convolution(x).sum().backward())
    assert trained == 3 * forward
    frozen = x.detach()
    trained = step.count_flop(lambda: convolution(frozen).sum().backward())
    assert trained == 2 * forward
