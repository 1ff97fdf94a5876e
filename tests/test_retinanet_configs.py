"""The configs of Table 3, setting by setting, each with its source.

Paper: Ghiasi, Lin, Le 2018, section 4.3 and Table 3. TPU: the authors' code,
tensorflow/tpu, models/official/retinanet: retinanet_model.py (``model``),
retinanet_architecture.py (``architecture``), dataloader.py (``dataloader``) and
anchors.py (``anchors``).
"""

import copy
import functools
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import MMLogger
from mmengine.model import convert_sync_batchnorm
from mmengine.optim import LinearLR, MultiStepLR, build_optim_wrapper
from mmengine.registry import MODELS, TRANSFORMS, init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import nn
from torch.nn import functional

from dropblock_mm import DropBlockInjectionHook, KeepProbScheduleHook
from dropblock_mm.registry import HOOKS

pytest.importorskip('mmdet')
FOLDER = Path(__file__).resolve().parents[1] / 'configs/retinanet'
SCRATCH = 'retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py'
TUNED = 'retinanet_r50_fpn_sepbn_8xb8-28e_coco.py'


def with_block(size):
    return SCRATCH.replace('8xb8', f'dropblock-keep90-block{size}_8xb8')


# Paper, Table 3: config -> (block size, AP, AP50, AP75)
TABLE_3 = {
    TUNED: (None, '36.5', '55.0', '39.1'),
    SCRATCH: (None, '36.8', '54.6', '39.4'),
    with_block(1): (1, '37.9', '56.1', '40.6'),
    with_block(3): (3, '38.3', '56.4', '41.2'),
    with_block(5): (5, '38.4', '56.4', '41.2'),
    with_block(7): (7, '38.2', '56.0', '40.9'),
}


@functools.cache
def parsed(name):
    return Config.fromfile(FOLDER / name)


def read(name):
    config = copy.deepcopy(parsed(name))
    init_default_scope(config.default_scope)
    return config


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = MODELS.build(read(SCRATCH).model)
    model.init_weights()
    return model


# The table


def test_the_folder_is_the_table():
    assert {path.name for path in FOLDER.glob('*.py')} == set(TABLE_3)


@pytest.mark.parametrize('name', TABLE_3)
def test_the_docstring_has_the_papers_numbers(name):
    text = (FOLDER / name).read_text().split('"""')[1]
    ap, ap50, ap75 = TABLE_3[name][1:]
    assert f'Paper: {ap} AP, {ap50} AP50, {ap75} AP75 on val2017. Not trained' in text


@pytest.mark.parametrize('name', TABLE_3)
def test_the_command_names_this_config_alone(name):
    text = (FOLDER / name).read_text().split('"""')[1]
    (command,) = [line for line in text.splitlines() if 'dist_train.sh' in line]
    script, pattern, gpus = command.split()
    assert (script, gpus) == ('tools/dist_train.sh', '8')
    assert list(FOLDER.parents[1].glob(pattern)) == [FOLDER / name]


@pytest.mark.parametrize('name', TABLE_3)
def test_drop_block_is_in_conv4_and_conv5(name):
    hooks = [HOOKS.build(dict(h)) for h in read(name).get('custom_hooks', [])]
    block_size = TABLE_3[name][0]
    if block_size is None:
        assert not hooks
        return
    injection, schedule = hooks
    assert isinstance(injection, DropBlockInjectionHook)
    assert isinstance(schedule, KeepProbScheduleHook)
    group3, group4 = injection.targets
    # Paper, 4.1.1: groups 3 and 4, gamma_3 = gamma / 4
    assert (group3.module, group3.gamma_scale) == ('backbone.layer3', 0.25)
    assert (group4.module, group4.gamma_scale) == ('backbone.layer4', 1.0)
    assert group3.block_size == group4.block_size == block_size  # Table 3
    assert not group3.calibrated
    assert schedule.keep_prob == 0.9  # Table 3
    assert (schedule.schedule, schedule.start_keep_prob) == ('linear', 1.0)  # section 3


def test_rows_from_scratch_differ_in_drop_block_alone():
    plain = read(SCRATCH).to_dict()
    for name, (block_size, *_) in TABLE_3.items():
        if block_size is not None:
            other = read(name).to_dict()
            hooks = other.pop('custom_hooks')
            assert other == plain
            hooks[0].pop('block_size')
            assert hooks == [
                {k: v for k, v in hook.items() if k != 'block_size'}
                for hook in read(with_block(7)).to_dict()['custom_hooks']
            ]


def test_fine_tuning_differs_in_weights_and_schedule_alone():
    plain, tuned = read(SCRATCH).to_dict(), read(TUNED).to_dict()
    for config in (plain, tuned):
        for key in ('max_epochs', 'train_cfg', 'param_scheduler'):
            del config[key]
        for key in ('init_cfg', 'frozen_stages'):
            del config['model']['backbone'][key]
    assert tuned == plain


# The model


def test_backbone(model):
    assert model.backbone.depth == 50  # Table 3
    for stage in ('layer1', 'layer2', 'layer3', 'layer4'):
        for block in getattr(model.backbone, stage):
            assert not block.norm3.weight.any()  # TPU architecture: init_zero=True
            assert (block.norm2.weight == 1).all()
    assert all(p.requires_grad for p in model.parameters())  # from scratch
    assert read(SCRATCH).model.backbone.init_cfg is None


def test_every_norm(model):
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    # TPU architecture: _BATCH_NORM_DECAY = 0.997, _BATCH_NORM_EPSILON = 1e-4
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.003, 1e-4)}
    # ResNet-50; each level of the pyramid; 2 heads of 4 convolutions on 5 levels
    assert len(norms) == 53 + 5 + 2 * 4 * 5
    model.train()
    assert all(norm.training for norm in norms)  # TPU model: is_training_bn=True


def test_maps_at_640_pixels():
    """40x40 and 20x20 in layer3 and layer4: what blocks are to be compared with."""
    with torch.device('meta'):
        light = MODELS.build(read(SCRATCH).model)
    maps = light.backbone(torch.empty(1, 3, 640, 640, device='meta'))
    assert [tuple(x.shape[2:]) for x in maps[2:]] == [(40, 40), (20, 20)]
    assert [x.shape[-1] for x in light.neck(maps)] == [80, 40, 20, 10, 5]  # P3-P7


def random_weights(module):
    """Weights of the scale of a trained net's, statistics included."""
    torch.manual_seed(2)
    weights = {}
    for name, x in module.state_dict().items():
        if name.endswith('running_var'):
            weights[name] = torch.rand_like(x) + 0.5
        elif x.is_floating_point():
            weights[name] = torch.randn_like(x) / (30 if x.dim() > 1 else 1)
    return weights


def convolve(x, weights, name, **kwargs):
    bias = weights.get(f'{name}.bias')
    return functional.conv2d(x, weights[f'{name}.weight'], bias, **kwargs)


def normalise(x, weights, name):
    keys = ('running_mean', 'running_var', 'weight', 'bias')
    values = [weights[f'{name}.bn.{key}'] for key in keys]
    return functional.batch_norm(x, *values, eps=1e-4)


@torch.no_grad()
def test_neck_is_the_recipes(model):
    """TPU architecture: resnet_fpn, in plain torch.

    One departure: there P6 and P7 take the level below before its normalisation.
    """
    neck = copy.deepcopy(model.neck).eval()
    weights = random_weights(neck)
    sizes, channels = (16, 8, 4, 2), (256, 512, 1024, 2048)
    inputs = [torch.randn(1, c, s, s) for c, s in zip(channels, sizes, strict=True)]

    lateral = [
        convolve(x, weights, f'lateral_convs.{i}.conv')
        for i, x in enumerate(inputs[1:])
    ]
    assert {f'lateral_convs.{i}.conv.bias' for i in range(3)} <= set(weights)
    for i in (1, 0):
        up = lateral[i + 1].repeat_interleave(2, 2).repeat_interleave(2, 3)  # nearest
        lateral[i] = lateral[i] + up
    expected = []
    for i in range(5):
        source = lateral[i] if i < 3 else expected[-1]
        source = source.relu() if i == 4 else source
        stride = 1 if i < 3 else 2
        x = convolve(source, weights, f'fpn_convs.{i}.conv', stride=stride, padding=1)
        expected.append(normalise(x, weights, f'fpn_convs.{i}'))

    neck.load_state_dict(weights, strict=False)
    torch.testing.assert_close(list(neck(inputs)), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_head_shares_convolutions_but_not_norms(model):
    """TPU architecture: class_net and box_net, in plain torch."""
    head = copy.deepcopy(model.bbox_head).eval()
    weights = random_weights(head)
    for name in weights:  # the state dict lists shared convolutions for every level
        kind, _, rest = name.partition('.')
        if '.conv.' in name:
            weights[name] = weights[f'{kind}.0{rest[1:]}']
    feats = [torch.randn(1, 256, s, s) for s in (5, 4, 3, 2, 1)]

    def tower(x, kind, level):
        for i in range(4):  # TPU: four convolutions of 256
            x = convolve(x, weights, f'{kind}_convs.0.{i}.conv', padding=1)
            x = normalise(x, weights, f'{kind}_convs.{level}.{i}').relu()
        return convolve(x, weights, f'retina_{kind}', padding=1)

    head.load_state_dict(weights, strict=False)
    scores, boxes = head(feats)
    for kind, outputs in (('cls', scores), ('reg', boxes)):
        expected = [tower(x, kind, level) for level, x in enumerate(feats)]
        torch.testing.assert_close(outputs, expected, rtol=1e-3, atol=1e-3)
    assert scores[0].shape[1] == 9 * 80


def test_head_starts_sure_of_background(model):
    head = model.bbox_head
    # TPU architecture: bias -log((1 - 0.01) / 0.01), kernels with deviation 0.01
    torch.testing.assert_close(
        head.retina_cls.bias, torch.full((720,), -math.log(99.0))
    )
    assert not head.retina_reg.bias.any()
    towers = [
        conv.conv for tower in (head.cls_convs, head.reg_convs) for conv in tower[0]
    ]
    for conv in [*towers, head.retina_cls, head.retina_reg]:
        assert float(conv.weight.std()) == pytest.approx(0.01, rel=0.02)
    for level in range(1, 5):
        for i in range(4):
            assert head.cls_convs[level][i].conv is head.cls_convs[0][i].conv
            assert head.cls_convs[level][i].bn is not head.cls_convs[0][i].bn


def test_anchors(model):
    generator = model.bbox_head.prior_generator
    assert [stride[0] for stride in generator.strides] == [8, 16, 32, 64, 128]
    for stride, anchors in zip(generator.strides, generator.base_anchors, strict=True):
        size = anchors[:, 2:] - anchors[:, :2]
        # TPU model: anchor_scale=4, num_scales=3, ratios 1, 2 and 1/2
        scales = sorted((size.prod(1).sqrt() / stride[0]).tolist())
        expected = [4 * 2 ** (i / 3) for i in range(3) for _ in range(3)]
        assert scales == pytest.approx(expected, rel=1e-4)
        ratios = sorted((size[:, 1] / size[:, 0]).tolist())
        assert ratios == pytest.approx([0.5] * 3 + [1.0] * 3 + [2.0] * 3, rel=1e-4)


def test_preprocessing(model):
    preprocessor = model.data_preprocessor
    # TPU dataloader: ImageNet's mean and deviation of RGB in [0, 1]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(preprocessor.mean.flatten() / 255, mean)
    torch.testing.assert_close(preprocessor.std.flatten() / 255, std)
    assert preprocessor._channel_conversion


# Matching and losses

IMAGE = dict(img_shape=(128, 128), pad_shape=(128, 128))
SIZES = (16, 8, 4, 2, 1)


def all_anchors(head):
    sizes = [(size, size) for size in SIZES]
    return torch.cat(head.prior_generator.grid_priors(sizes, device='cpu'))


def box_iou(boxes, anchors):
    corner = torch.maximum(boxes[:, None, :2], anchors[None, :, :2])
    other = torch.minimum(boxes[:, None, 2:], anchors[None, :, 2:])
    common = (other - corner).clamp(min=0).prod(2)
    areas = [(x[:, 2:] - x[:, :2]).prod(1) for x in (boxes, anchors)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def recipes_matches(anchors, boxes):
    """TPU anchors: ArgMaxMatcher(0.5, force_match_for_each_row); -1 is background."""
    ious = box_iou(boxes, anchors)
    best, matches = ious.max(dim=0)
    matches[best < 0.5] = -1
    for row, anchor in enumerate(ious.argmax(dim=1)):
        matches[anchor] = row
    return matches


def recipes_targets(anchors, boxes):
    """TPU: FasterRcnnBoxCoder without scale factors."""

    def center_size(x):
        return (x[:, :2] + x[:, 2:]) / 2, x[:, 2:] - x[:, :2]

    (centers, sizes), (origins, lengths) = center_size(boxes), center_size(anchors)
    return torch.cat([(centers - origins) / lengths, (sizes / lengths).log()], dim=1)


def recipes_losses(scores, deltas, anchors, instances):
    """TPU model: focal_loss and _box_loss, summed over the images of a GPU."""
    focal, huber, positives = 0.0, 0.0, 0
    for logits, delta, gt in zip(scores, deltas, instances, strict=True):
        matches = recipes_matches(anchors, gt.bboxes)
        chosen = matches >= 0
        onehot = torch.zeros_like(logits)
        onehot[chosen, gt.labels[matches[chosen]]] = 1.0
        entropy = functional.binary_cross_entropy_with_logits(
            logits, onehot, reduction='none'
        )
        right = torch.where(onehot == 1, logits.sigmoid(), 1 - logits.sigmoid())
        alpha = torch.where(onehot == 1, 0.25, 0.75)  # alpha=0.25
        focal += (alpha * (1 - right) ** 1.5 * entropy).sum()  # gamma=1.5
        target = recipes_targets(anchors[chosen], gt.bboxes[matches[chosen]])
        huber += functional.huber_loss(
            delta[chosen], target, delta=0.1, reduction='sum'
        )
        positives += int(chosen.sum())
    # TPU adds 1 to the positives of a GPU; mmdet has at least 1 for each image.
    return focal / positives, 50.0 * huber / (4 * positives)


def random_outputs(batch):
    """Head outputs of five levels, and the same as (image, anchor, value)."""
    torch.manual_seed(1)
    maps = {c: [torch.randn(batch, 9 * c, s, s) for s in SIZES] for c in (80, 4)}
    flat = {
        c: torch.cat([x.permute(0, 2, 3, 1).reshape(batch, -1, c) for x in xs], 1)
        for c, xs in maps.items()
    }
    return maps, flat


def test_losses_are_the_recipes(model):
    head = model.bbox_head
    instances = [
        # An object of 4 pixels matches no anchor well, and many equally badly.
        InstanceData(
            bboxes=torch.tensor([[8.0, 8, 60, 64], [30, 40, 34, 44]]),
            labels=torch.tensor([7, 79]),
        ),
        InstanceData(
            bboxes=torch.tensor([[2.0, 70, 120, 125]]), labels=torch.tensor([0])
        ),
    ]
    maps, flat = random_outputs(2)
    losses = head.loss_by_feat(maps[80], maps[4], instances, [IMAGE] * 2)
    anchors = all_anchors(head)
    focal, huber = recipes_losses(flat[80], flat[4], anchors, instances)
    torch.testing.assert_close(sum(losses['loss_cls']), focal, rtol=1e-4, atol=0)
    torch.testing.assert_close(sum(losses['loss_bbox']), huber, rtol=1e-4, atol=0)


def test_an_object_keeps_one_anchor_however_bad(model):
    head = model.bbox_head
    priors = all_anchors(head)
    tiny = InstanceData(
        bboxes=torch.tensor([[30.0, 40, 34, 44]]), labels=torch.tensor([3])
    )
    ious = box_iou(tiny.bboxes, priors)[0]
    assert ious.max() < 0.1
    assert (ious == ious.max()).sum() > 1
    result = head.assigner.assign(InstanceData(priors=priors), tiny)
    assert (result.gt_inds > 0).sum() == 1
    assert (result.gt_inds == 0).sum() == len(priors) - 1  # nothing is ignored


def test_images_without_objects_are_trained_on(model):
    empty = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    maps, _ = random_outputs(1)
    losses = model.bbox_head.loss_by_feat(maps[80], maps[4], [empty], [IMAGE])
    assert sum(losses['loss_cls']) > 0
    assert sum(losses['loss_bbox']) == 0


# The data


def annotated_image(height, width, boxes=((10, 20, 110, 220),)):
    """What CocoDataset and LoadImageFromFile hand on."""
    instances = [dict(bbox=list(b), bbox_label=5, ignore_flag=0) for b in boxes]
    return dict(
        img=np.full((height, width, 3), 200, np.uint8),
        img_shape=(height, width),
        ori_shape=(height, width),
        height=height,
        width=width,
        instances=instances,
    )


def pipeline_of(loader):
    first, *steps = loader.dataset.pipeline
    assert first.type == 'LoadImageFromFile'
    return Compose([TRANSFORMS.build(step) for step in steps])


@pytest.mark.parametrize('shape', [(375, 500), (500, 333), (640, 640)])
def test_training_pipeline(shape):
    """Paper, 4.3: scale jitter [512, 768], then padding or cropping to 640."""
    pipeline = pipeline_of(read(SCRATCH).train_dataloader)
    scales, flips = [], []
    for seed in range(60):
        np.random.seed(seed)
        packed = pipeline(annotated_image(*shape))
        sample = packed['data_samples']
        assert packed['inputs'].shape == (3, 640, 640)
        assert sample.img_shape == (640, 640)
        boxes = sample.gt_instances.bboxes.tensor
        assert ((boxes >= 0) & (boxes <= 640)).all()
        scales.append(max(shape) * max(sample.scale_factor))
        flips.append(bool(sample.flip))
    assert 511 <= min(scales) < 530
    assert 750 < max(scales) <= 768
    assert 15 < sum(flips) < 45  # TPU model: input_rand_hflip=True


def test_padding_is_right_and_below_and_of_the_mean_colour(model):
    """TPU dataloader: pad_to_bounding_box with zeros, after normalize_image."""
    pipeline = pipeline_of(read(SCRATCH).train_dataloader)
    np.random.seed(0)
    packed = pipeline(annotated_image(100, 400))
    height = round(100 * packed['data_samples'].scale_factor[1])
    batch = model.data_preprocessor(
        dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
    )
    assert batch['inputs'].shape == (1, 3, 640, 640)
    assert batch['inputs'][0, :, :height, :500].min() > 1  # the image
    assert batch['inputs'][0, :, height:].abs().max() < 0.02


def test_crops_without_objects_stay():
    """TPU dataloader keeps every crop; mmdet would skip the image."""
    pipeline = pipeline_of(read(SCRATCH).train_dataloader)
    counts = set()
    for seed in range(40):
        np.random.seed(seed)
        packed = pipeline(annotated_image(640, 640, boxes=[(0, 0, 8, 8)]))
        assert packed['inputs'].shape == (3, 640, 640)
        counts.add(len(packed['data_samples'].gt_instances))
    assert counts == {0, 1}
    assert pipeline(annotated_image(300, 400, boxes=[])) is not None


def test_test_pipeline():
    """Paper, 4.3: one scale, the longest side at 640."""
    pipeline = pipeline_of(read(SCRATCH).val_dataloader)
    assert pipeline(annotated_image(375, 500))['inputs'].shape == (3, 480, 640)
    assert pipeline(annotated_image(500, 375))['inputs'].shape == (3, 640, 480)


def test_data_and_evaluation():
    config = read(SCRATCH)
    training, testing = config.train_dataloader, config.val_dataloader
    assert training.dataset.ann_file.endswith('train2017.json')  # paper, 4.3
    assert testing.dataset.ann_file.endswith('val2017.json')
    assert config.val_evaluator.type == 'CocoMetric'
    assert training.batch_size == 8  # of 64 on 8 GPUs: TPU, _DEFAULT_BATCH_SIZE
    # 280,000 steps of 64 images are 150 epochs (paper) if all 118,287 images count.
    assert not training.dataset.filter_cfg.filter_empty_gt
    assert config.test_dataloader == config.val_dataloader
    assert config.randomness.diff_rank_seed  # or masks would repeat on every GPU


# The optimizer


def test_optimizer(model):
    optimizer = build_optim_wrapper(model, read(SCRATCH).optim_wrapper).optimizer
    assert isinstance(optimizer, torch.optim.SGD)
    # Paper, 4.3: 0.08; TPU model: momentum=0.9, _WEIGHT_DECAY = 1e-4
    assert optimizer.defaults['lr'] == 0.08
    assert optimizer.defaults['momentum'] == 0.9
    assert not optimizer.defaults['nesterov']
    norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in module.parameters()
    }
    decays = {}
    for group in optimizer.param_groups:
        for parameter in group['params']:
            assert id(parameter) not in decays, 'a shared convolution is listed twice'
            decays[id(parameter)] = (group['weight_decay'], id(parameter) in norms)
    # TPU model: weight_decay * l2_loss of all but 'batch_normalization'
    assert set(decays.values()) == {(1e-4, False), (0.0, True)}
    assert set(decays) == {id(parameter) for parameter in model.parameters()}


@pytest.mark.parametrize(
    ('name', 'epochs', 'drops'), [(TUNED, 28, (16, 22)), (SCRATCH, 150, (120, 140))]
)
def test_schedule(name, epochs, drops):
    """Paper, 4.3; warm-up: TPU model, lr_warmup_init, lr_warmup_epoch=1.0."""
    config = read(name)
    assert config.train_cfg.type == 'EpochBasedTrainLoop'
    assert config.train_cfg.max_epochs == epochs
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.08)
    steps_per_epoch = 50
    warm_up, steps = (dict(scheduler) for scheduler in config.param_scheduler)
    assert (warm_up.pop('type'), steps.pop('type')) == ('LinearLR', 'MultiStepLR')
    assert warm_up.pop('by_epoch')
    assert warm_up.pop('convert_to_iter_based')
    linear = LinearLR.build_iter_from_epoch(
        optimizer, epoch_length=steps_per_epoch, **warm_up
    )
    multi = MultiStepLR(optimizer, **steps)
    first, by_epoch = [], []
    for epoch in range(epochs):
        by_epoch.append(optimizer.param_groups[0]['lr'])
        for _ in range(steps_per_epoch):
            if epoch == 0:
                first.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            linear.step()
        multi.step()
    assert first == pytest.approx(np.linspace(0.008, 0.08, steps_per_epoch).tolist())
    expected = [0.08] * (drops[0] - 1)
    expected += [0.008] * (drops[1] - drops[0]) + [0.0008] * (epochs - drops[1])
    assert by_epoch[1:] == pytest.approx(expected)


@pytest.mark.parametrize('batch_size', [64, 16, 256])
def test_learning_rate_scales_with_the_batch(batch_size):
    """TPU model: update_learning_rate_schedule_parameters."""
    config = read(SCRATCH)
    wrapper = build_optim_wrapper(nn.Linear(1, 1), config.optim_wrapper)
    runner = SimpleNamespace(
        world_size=1,
        logger=MMLogger.get_current_instance(),
        _train_dataloader=dict(batch_size=batch_size),
        param_schedulers=[],
    )
    Runner.scale_lr(runner, wrapper, {**config.auto_scale_lr, 'enable': True})
    rate = wrapper.optimizer.param_groups[0]['lr']
    assert rate == pytest.approx(0.08 * batch_size / 64)


def test_fine_tuning_starts_from_imagenet():
    config = read(TUNED).model
    assert config.backbone.init_cfg == dict(
        type='Pretrained', checkpoint='torchvision://resnet50'
    )
    config.backbone.init_cfg = None
    backbone = MODELS.build(config.backbone)
    backbone.train()
    frozen = {n for n, p in backbone.named_parameters() if not p.requires_grad}
    # TPU architecture: remove_variables leaves the first convolution out of training
    assert frozen == {'conv1.weight', 'bn1.weight', 'bn1.bias'}
    assert backbone.layer1[0].bn1.training


def test_sync_bn_keeps_settings_and_sharing(model):
    """What --cfg-options sync_bn=torch does."""
    synced = convert_sync_batchnorm(copy.deepcopy(model), 'torch')
    norms = [m for m in synced.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(norms) == 98
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.003, 1e-4)}
    head = synced.bbox_head
    assert head.cls_convs[4][3].conv is head.cls_convs[0][3].conv
