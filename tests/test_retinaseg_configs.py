"""The configs of Table 4, setting by setting, each with its source.

Paper: Ghiasi, Lin, Le 2018, section 4.4 and Table 4. TPU: the authors' code,
tensorflow/tpu, models/official/retinanet: retinanet_segmentation_model.py (``model``),
retinanet_architecture.py (``architecture``), dataloader.py (``dataloader``),
retinanet_segmentation_main.py (``main``).
"""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope
from torch import nn

from dropblock_mm import DropBlockInjectionHook, KeepProbScheduleHook
from dropblock_mm.registry import HOOKS
from dropblock_mm.reproduction import tables

pytest.importorskip('mmseg')
FOLDER = Path(__file__).resolve().parents[1] / 'configs/retinaseg'
SCRATCH = 'retinaseg_r101_fpn_8xb8-500e-scratch_voc12aug-513x513.py'
TUNED = 'retinaseg_r101_fpn_8xb8-45e_voc12aug-513x513.py'
# Paper, Table 4: config -> (block size, mIoU)
TABLE_4 = {
    name: (block, f'{row.paper["mIoU"]:.1f}')
    for row, (name, block) in zip(
        tables.TABLE_4.rows,
        [
            (TUNED, None),
            (SCRATCH, None),
            *(
                (SCRATCH.replace('8xb8', f'dropblock-keep20-block{n}_8xb8'), n)
                for n in (1, 4, 16)
            ),
        ],
        strict=True,
    )
}


def read(name):
    config = Config.fromfile(FOLDER / name)
    init_default_scope(config.default_scope)
    return config


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = MODELS.build(read(SCRATCH).model)
    model.backbone.init_weights()
    return model


def test_the_folder_is_the_table():
    assert {path.name for path in FOLDER.glob('*.py')} == set(TABLE_4)


@pytest.mark.parametrize('name', TABLE_4)
def test_the_docstring_has_the_papers_number(name):
    text = (FOLDER / name).read_text().split('"""')[1]
    assert f'Paper: {TABLE_4[name][1]} mIoU on val. Not trained here.' in text


@pytest.mark.parametrize('name', TABLE_4)
def test_drop_block_is_in_the_head(name):
    hooks = [HOOKS.build(dict(h)) for h in read(name).get('custom_hooks', [])]
    block_size = TABLE_4[name][0]
    if block_size is None:
        assert not hooks
        return
    injection, schedule = hooks
    assert isinstance(injection, DropBlockInjectionHook)
    assert isinstance(schedule, KeepProbScheduleHook)
    (target,) = injection.targets
    assert target.module == 'decode_head'  # paper, 4.4: better than in the backbone
    layer = target.build()
    assert layer.block_size == block_size  # Table 4
    assert (layer.calibrated, layer.gamma_scale) == (False, 1.0)
    assert schedule.keep_prob == 0.2  # Table 4
    assert (schedule.schedule, schedule.start_keep_prob) == ('linear', 1.0)  # section 3


def test_rows_differ_in_drop_block_alone():
    plain = read(SCRATCH).to_dict()
    for name, (block_size, _) in TABLE_4.items():
        if block_size is not None:
            other = read(name).to_dict()
            del other['custom_hooks']
            assert other == plain


def test_backbone(model):
    assert model.backbone.depth == 101  # Table 4; TPU model: resnet_depth=101
    stages = [model.backbone.layer1, model.backbone.layer4]
    assert [len(stage) for stage in stages] == [3, 3]
    for block in model.backbone.layer4:  # TPU architecture: init_zero=True
        assert not block.norm3.weight.any()
    assert all(p.requires_grad for p in model.parameters())  # nothing is frozen
    assert model.backbone.conv1.weight.std() > 0  # and nothing loaded
    assert model.backbone.init_cfg[0]['type'] == 'Kaiming'


def test_every_norm(model):
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    # TPU architecture: _BATCH_NORM_DECAY = 0.997, _BATCH_NORM_EPSILON = 1e-4
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.003, 1e-4)}
    assert not model.backbone.norm_eval
    assert len(norms) == 104 + 3 + 10  # ResNet-101, each level, the head


def test_neck(model):
    """TPU architecture: resnet_fpn(min_level=3, max_level=5)."""
    neck = model.neck
    assert [conv.conv.in_channels for conv in neck.lateral_convs] == [512, 1024, 2048]
    assert not any(conv.with_norm for conv in neck.lateral_convs)
    assert all(conv.with_norm for conv in neck.fpn_convs)
    assert not any(c.with_activation for c in [*neck.lateral_convs, *neck.fpn_convs])
    assert neck.out_channels == 256
    # use_nearest_upsampling=False; resize_bilinear(align_corners=True)
    assert neck.upsample_cfg == dict(mode='bilinear', align_corners=True)


def test_head(model):
    """TPU architecture: segmentation_class_net, retinanet_segmentation."""
    head = model.decode_head
    assert (len(head.towers), len(head.towers[0])) == (3, 3)
    assert (head.channels, head.num_classes, head.align_corners) == (256, 21, True)
    assert head.dropout is None
    # TPU model: stride = 2**min_level, ignore_label=255, sum / num not ignored
    assert (head.stride, head.ignore_index, head.upsample_loss) == (8, 255, False)
    assert head.loss_decode.avg_non_ignore
    assert model.test_cfg.mode == 'whole'


def test_maps_at_513_pixels(model):
    """65, 33 and 17: what the rates in docs/en/segmentation.md are computed for."""
    with torch.device('meta'):
        light = MODELS.build(read(SCRATCH).model)
    maps = light.neck(light.backbone(torch.empty(1, 3, 513, 513, device='meta')))
    assert [tuple(x.shape[2:]) for x in maps] == [(65, 65), (33, 33), (17, 17)]


@pytest.mark.parametrize('name', TABLE_4)
def test_what_all_rows_share(name):
    config = read(name)
    assert config.randomness.diff_rank_seed  # or masks would repeat on every GPU
    assert config.default_scope == 'mmseg'
    assert DATASETS.get('mmseg.PascalVOCDataset') is not None
