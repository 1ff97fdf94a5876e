"""The configs of configs/bccd: blood cells, in VOC's layout."""

import copy
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, init_default_scope

pytest.importorskip('mmdet')
CONFIGS = Path(__file__).resolve().parents[1] / 'configs/bccd'
CELLS = 'retinanet_r18_fpn_scratch_bccd.py'
BLOCKS = {
    size: CELLS.replace('_scratch', f'_dropblock-keep90-block{size}_scratch')
    for size in (1, 7)
}


@functools.cache
def parsed(name):
    return Config.fromfile(CONFIGS / name)


def read(name):
    config = copy.deepcopy(parsed(name))
    init_default_scope(config.default_scope)
    return config


def test_rows_differ_in_drop_block_alone():
    assert {path.name for path in CONFIGS.glob('*.py')} == {CELLS, *BLOCKS.values()}
    plain = read(CELLS).to_dict()
    assert 'custom_hooks' not in plain
    for block_size, name in BLOCKS.items():
        other = read(name).to_dict()
        injection, schedule = other.pop('custom_hooks')
        assert other == plain
        # The paper's DropBlock in a ResNet: sections 3 and 4.1.1.
        assert injection == dict(
            type='dropblock_mm.DropBlockInjectionHook',
            block_size=block_size,
            targets=[
                dict(module='backbone.layer3', gamma_scale=0.25),
                dict(module='backbone.layer4'),
            ],
        )
        assert schedule == dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9)


@pytest.fixture(scope='module')
def cells_model():
    return MODELS.build(read(CELLS).model)


def test_blocks_of_7_have_room_in_the_cells_maps(cells_model):
    scale = read(CELLS).train_dataloader.dataset.pipeline[2].scale
    assert scale == (192, 144)
    with torch.no_grad():
        maps = cells_model.backbone(torch.zeros(1, 3, 144, 192))
        levels = cells_model.neck(maps)
    assert [tuple(x.shape[2:]) for x in maps[2:]] == [(18, 24), (9, 12)]
    assert [tuple(x.shape[2:]) for x in levels] == [(18, 24), (9, 12), (5, 6)]
    strides = [stride[0] for stride in cells_model.bbox_head.prior_generator.strides]
    assert strides == [8, 16, 32]


def test_anchors_have_the_cells_sizes(cells_model):
    generator = cells_model.bbox_head.prior_generator
    sizes = [
        float(box[2] - box[0]) for level in generator.base_anchors for box in level
    ]
    assert sizes == pytest.approx([12 * 2 ** (i / 3) for i in range(9)], rel=1e-4)


def test_cells_train_from_scratch_on_mirrored_images():
    config = read(CELLS)
    assert config.model.backbone.get('init_cfg') is None
    _, _, *steps = config.train_dataloader.dataset.pipeline
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    seen = set()
    for seed in range(40):
        np.random.seed(seed)
        image = np.zeros((480, 640, 3), np.uint8)
        image[:240, :320] = 255
        packed = pipeline(dict(img=image, img_shape=(480, 640)))
        assert packed['inputs'].shape == (3, 144, 192)
        corners = packed['inputs'][0, ::143, ::191].flatten()
        seen.add(int(corners.argmax()))
    assert seen == {0, 1, 2, 3}


def test_all_cells_runs_cost_the_same():
    for name in (CELLS, *BLOCKS.values()):
        config = read(name)
        assert config.train_cfg.max_epochs == config.param_scheduler[1].T_max == 20
        assert config.param_scheduler[1].end == 20
        assert config.param_scheduler[0].end == 50
    thresholds = config.val_evaluator.iou_thrs
    assert thresholds == pytest.approx(np.linspace(0.5, 0.95, 10).tolist())


def test_cells_are_all_read(shared_data):
    root = shared_data / 'bccd'
    if not root.is_dir():
        pytest.skip(f'no {root}')
    config = read(CELLS)
    lengths = []
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.data_root = f'{root}/'
        lengths.append(len(DATASETS.build(loader.dataset)))
    assert lengths == [205, 87]
