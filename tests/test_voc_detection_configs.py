"""The configs of configs/pascal_voc and configs/bccd: VOC detection from scratch."""

import copy
import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, init_default_scope

pytest.importorskip('mmdet')
CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
VOC = 'pascal_voc/retinanet_r50_fpn_sepbn_8xb8-scratch_voc0712.py'
VOC_DROP_BLOCK = VOC.replace('_8xb8', '_dropblock-keep90-block7_8xb8')
COCO = 'retinanet/retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py'
CELLS = 'bccd/retinanet_r18_fpn_scratch_bccd.py'
CELLS_BLOCK_1 = CELLS.replace('_scratch', '_dropblock-keep90-block1_scratch')
CELLS_BLOCK_7 = CELLS.replace('_scratch', '_dropblock-keep90-block7_scratch')


@functools.cache
def parsed(name):
    return Config.fromfile(CONFIGS / name)


def read(name):
    config = copy.deepcopy(parsed(name))
    init_default_scope(config.default_scope)
    return config


def hooks_of(block_size):
    """The paper's DropBlock in a ResNet: sections 3 and 4.1.1."""
    targets = [
        dict(module='backbone.layer3', gamma_scale=0.25),
        dict(module='backbone.layer4'),
    ]
    return [
        dict(
            type='dropblock_mm.DropBlockInjectionHook',
            block_size=block_size,
            targets=targets,
        ),
        dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
    ]


@pytest.mark.parametrize(
    ('plain', 'with_blocks'),
    [(VOC, {7: VOC_DROP_BLOCK}), (CELLS, {1: CELLS_BLOCK_1, 7: CELLS_BLOCK_7})],
)
def test_rows_differ_in_drop_block_alone(plain, with_blocks):
    folder = (CONFIGS / plain).parent
    names = {path.name for path in folder.glob('*.py')}
    assert names == {Path(name).name for name in [plain, *with_blocks.values()]}
    assert 'custom_hooks' not in read(plain)
    for block_size, name in with_blocks.items():
        other = read(name).to_dict()
        assert other.pop('custom_hooks') == hooks_of(block_size)
        assert other == read(plain).to_dict()


# PASCAL VOC


def test_voc_has_the_model_images_and_optimizer_of_table_3():
    ours, table_3 = read(VOC), read(COCO)
    assert ours.model.bbox_head.pop('num_classes') == 20
    assert table_3.model.bbox_head.pop('num_classes') == 80
    for key in ('model', 'optim_wrapper', 'auto_scale_lr', 'randomness'):
        assert ours[key] == table_3[key], key
    for loader in (ours.train_dataloader, table_3.train_dataloader):
        assert loader.batch_size == 8
    pipeline = table_3.train_dataloader.dataset.pipeline
    for dataset in ours.train_dataloader.dataset.datasets:
        assert dataset.pipeline == pipeline
    testing = ours.test_dataloader.dataset.pipeline
    assert testing == table_3.test_dataloader.dataset.pipeline


def test_voc_lists_and_metric():
    config = read(VOC)
    parts = config.train_dataloader.dataset.datasets
    assert [part.ann_file for part in parts] == [
        f'VOC{year}/ImageSets/Main/trainval.txt' for year in (2007, 2012)
    ]
    assert [part.data_prefix.sub_data_root for part in parts] == [
        'VOC2007/',
        'VOC2012/',
    ]
    assert config.test_dataloader.dataset.ann_file == 'VOC2007/ImageSets/Main/test.txt'
    assert config.test_evaluator.eval_mode == '11points'  # as in the year 2007
    assert config.test_dataloader == config.val_dataloader


def test_voc_schedule_keeps_the_proportions_of_table_3():
    ours, table_3 = read(VOC), read(COCO)
    (warm_up, drops), (warm_up_3, drops_3) = (
        ours.param_scheduler,
        table_3.param_scheduler,
    )
    assert ours.train_cfg.max_epochs == ours.max_epochs == 400
    assert drops.milestones == [
        round(400 / 150 * epoch) for epoch in drops_3.milestones
    ]
    steps, steps_3 = 16551 / 64, 118287 / 64
    assert warm_up.end == round(warm_up_3.end * steps_3 / steps)
    assert warm_up.start_factor == warm_up_3.start_factor


VOC_XML = """<annotation><size><width>{w}</width><height>{h}</height></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>11</xmin><ymin>21</ymin>
<xmax>51</xmax><ymax>81</ymax></bndbox></object>
<object><name>dog</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin>
<xmax>31</xmax><ymax>31</ymax></bndbox></object></annotation>"""


def write_voc(root, years):
    """VOCdevkit with one image for each year."""
    import cv2

    for year in years:
        folder = root / f'VOC{year}'
        for name in ('ImageSets/Main', 'Annotations', 'JPEGImages'):
            (folder / name).mkdir(parents=True)
        for split in ('trainval', 'test'):
            (folder / f'ImageSets/Main/{split}.txt').write_text('a\n')
        (folder / 'Annotations/a.xml').write_text(VOC_XML.format(w=100, h=90))
        cv2.imwrite(str(folder / 'JPEGImages/a.jpg'), np.zeros((90, 100, 3), np.uint8))


def test_voc_data_sets_of_two_years_are_read(tmp_path):
    write_voc(tmp_path, (2007, 2012))
    config = read(VOC)
    training, testing = config.train_dataloader.dataset, config.test_dataloader.dataset
    for dataset in [*training.datasets, testing]:
        dataset.data_root = f'{tmp_path}/'
    both = DATASETS.build(training)
    assert len(both) == 2
    for index, year in enumerate((2007, 2012)):
        packed = both[index]
        assert packed['inputs'].shape == (3, 640, 640)
        sample = packed['data_samples']
        assert f'VOC{year}' in sample.img_path
        # 'cat' is the eighth class; the difficult dog is no target.
        assert sample.gt_instances.labels.tolist() == [7]
        assert sample.ignored_instances.labels.tolist() == [11]
    (packed,) = DATASETS.build(testing)
    assert packed['inputs'].shape == (3, 576, 640)


def test_readmes_example_reads_other_data(shared_data, tmp_path):
    root = shared_data / 'bccd'
    if not root.is_dir():
        pytest.skip(f'no {root}')
    readme = (CONFIGS / 'pascal_voc/README.md').read_text()
    (example,) = re.findall(r'```python\n(.*?)```', readme, re.DOTALL)
    assert 'data/bccd/' in example
    child = tmp_path / 'child.py'
    example = example.replace('data/bccd/', f'{root}/')
    child.write_text(f'_base_ = {str(CONFIGS / VOC_DROP_BLOCK)!r}\n{example}')
    config = Config.fromfile(child)
    init_default_scope(config.default_scope)
    assert config.model.bbox_head.num_classes == 3
    training = DATASETS.build(config.train_dataloader.dataset)
    testing = DATASETS.build(config.test_dataloader.dataset)
    assert (len(training), len(testing)) == (205, 87)
    assert training[0]['inputs'].shape == (3, 640, 640)


# Blood cells


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
    for name in (CELLS, CELLS_BLOCK_1, CELLS_BLOCK_7):
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
