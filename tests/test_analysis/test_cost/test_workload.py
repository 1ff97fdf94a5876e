"""How many images a config trains on."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from dropblock_mm.config_files import config_path

SCRATCH = config_path('retinanet/retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py')


@pytest.fixture
def workload(part):
    return part('workload')


def run_of(dataset, batch_size=2, **loop):
    loader = dict(batch_size=batch_size, dataset=dataset)
    return Config(dict(train_dataloader=loader, train_cfg=loop or dict(max_epochs=12)))


def test_a_row_of_table_3_has_the_papers_number_of_steps(workload, load):
    found = workload.workload(load(SCRATCH), SCRATCH)
    assert found.images == 150 * 118_287
    assert (found.batch_size, found.gpus) == (8, 8)
    assert found.iterations == pytest.approx(280_000, rel=0.01)


def test_a_row_of_table_1_has_the_papers_number_of_steps(workload, load):
    """1,251 steps an epoch: what does not fill a batch is left out."""
    name = config_path('resnet/resnet50_8xb128-300e_in1k.py')
    found = workload.workload(load(name), name)
    assert found.images == 300 * 1_281_167
    assert found.iterations == 375_300
    assert (found.batch_size, found.gpus) == (128, 8)


def test_images_in_class_folders_are_counted(workload, tmp_path):
    pytest.importorskip('mmpretrain.datasets')
    init_default_scope('mmpretrain')
    for name in ('cat', 'dog'):
        (tmp_path / 'train' / name).mkdir(parents=True)
        (tmp_path / 'train' / name / 'a.jpg').touch()
    folders = dict(type='CustomDataset', data_root=str(tmp_path), data_prefix='train')
    assert workload.count_images(folders) == 2
    assert workload.count_images(dict(folders, data_prefix='no')) is None


def test_images_without_objects_are_left_out_where_the_config_says_so(workload, load):
    name = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
    found = workload.workload(load(name), name)
    assert found.images == 12 * 117_266
    assert found.iterations == 12 * 7330  # as in mmdet's logs


def test_repeated_and_joined_data_sets(workload):
    count = workload.count_images
    first = dict(ann_file='ImageSets/Segmentation/train.txt', data_root='nowhere')
    second = dict(ann_file='ImageSets/Segmentation/aug.txt')
    both = dict(type='ConcatDataset', datasets=[first, second])
    assert count(both) == 10_582
    assert count(dict(type='RepeatDataset', times=3, dataset=both)) == 3 * 10_582
    assert count(dict(type='MultiImageMixDataset', dataset=first)) == 1_464
    assert count(dict(both, datasets=[first, dict(ann_file='mine.txt')])) is None


def test_a_run_by_iterations(workload):
    cfg = run_of(dict(), batch_size=4, type='IterBasedTrainLoop', max_iters=100)
    assert workload.workload(cfg, 'fcn_r50-d8_4xb4-20k_voc12aug').images == 1600
    assert workload.workload(cfg, 'mine').images == 400


@pytest.mark.parametrize(
    ('name', 'gpus'),
    [
        ('rtmdet_l_8xb32-300e_coco', 8),
        ('rtmdet_l_4xb16-300e_coco', 2),  # the name is of another batch
        ('mine', 2),
    ],
)
def test_number_of_gpus(workload, name, gpus):
    cfg = run_of(dict(), batch_size=32)
    cfg.auto_scale_lr = dict(base_batch_size=64)
    assert workload.number_of_gpus(cfg, name) == gpus


def test_what_is_not_known_is_asked_for(workload):
    with pytest.raises(ValueError, match=r'mine: the number of .*--num-images'):
        workload.workload(run_of(dict(ann_file='mine.json')), 'mine')
    found = workload.workload(run_of(dict()), 'mine', num_images=7)
    assert (found.images, found.iterations) == (84, 48)


def test_images_that_are_there_are_counted(workload, shared_data, load):
    cfg = load('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    init_default_scope('mmdet')
    cfg.train_dataloader.dataset.data_root = f'{shared_data / "coco_tiny"}/'
    assert workload.workload(cfg, 'tiny').images == 12 * 80
