"""The configs of configs/pascal_voc: detection from scratch."""

import copy
import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, init_default_scope

pytest.importorskip('mmdet')
CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
VOC = 'pascal_voc/retinanet_r50_fpn_sepbn_8xb8-scratch_voc0712.py'
VOC_DROP_BLOCK = VOC.replace('_8xb8', '_dropblock-keep90-block7_8xb8')
COCO = 'retinanet/retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py'


@functools.cache
def parsed(name):
    return Config.fromfile(CONFIGS / name)


def read(name):
    config = copy.deepcopy(parsed(name))
    init_default_scope(config.default_scope)
    return config


def test_the_second_differs_in_drop_block_alone():
    """The paper's DropBlock in a ResNet: sections 3 and 4.1.1."""
    names = {path.name for path in (CONFIGS / 'pascal_voc').glob('*.py')}
    assert names == {Path(VOC).name, Path(VOC_DROP_BLOCK).name}
    plain, other = read(VOC).to_dict(), read(VOC_DROP_BLOCK).to_dict()
    assert 'custom_hooks' not in plain
    injection, schedule = other.pop('custom_hooks')
    assert other == plain
    assert injection == dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=7,
        targets=[
            dict(module='backbone.layer3', gamma_scale=0.25),
            dict(module='backbone.layer4'),
        ],
    )
    assert schedule == dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9)


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


PLAIN_CAT, DIFFICULT_CAT, NO_CAT = (10, 20, 50, 80), (0, 0, 30, 30), (60, 0, 90, 30)


@pytest.mark.parametrize(
    ('found', 'expected'),
    [
        ([PLAIN_CAT], 1.0),
        ([DIFFICULT_CAT, PLAIN_CAT], 1.0),  # no hit, and no miss before
        ([DIFFICULT_CAT], 0.0),
        ([NO_CAT, PLAIN_CAT], 0.5),
    ],
)
def test_voc_difficult_objects_do_not_count(tmp_path, found, expected):
    """The config's metric on its own data set; the surest box comes first."""
    from mmengine.structures import InstanceData

    write_voc(tmp_path, (2007,))
    xml = tmp_path / 'VOC2007/Annotations/a.xml'
    xml.write_text(xml.read_text().replace('dog', 'cat'))
    config = read(VOC)
    config.test_dataloader.dataset.data_root = f'{tmp_path}/'
    dataset = DATASETS.build(config.test_dataloader.dataset)
    sample = dataset[0]['data_samples']
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(found, dtype=torch.float32),
        scores=torch.linspace(0.9, 0.1, len(found)),
        labels=torch.full((len(found),), 7),
    )
    metric = METRICS.build(config.test_evaluator)
    metric.dataset_meta = dataset.metainfo
    metric.process({}, [sample.to_dict()])
    assert metric.evaluate(size=1)['pascal_voc/mAP'] == pytest.approx(expected)


def test_voc_accuracy_is_that_of_11_points(tmp_path):
    """Half of the objects found, all of them right: 6 of 11 recalls, not half."""
    from mmdet.evaluation import eval_map

    config = read(VOC)
    detections = [[np.array([[*PLAIN_CAT, 0.9]])]]
    truth = dict(bboxes=np.array([PLAIN_CAT, NO_CAT]), labels=np.zeros(2, int))
    mode = config.test_evaluator.eval_mode
    accuracy, _ = eval_map(detections, [truth], eval_mode=mode, logger='silent')
    assert accuracy == pytest.approx(6 / 11)


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
