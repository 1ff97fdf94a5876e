"""The configs of VOC detection on real images: train and test as a user does."""

import json

import pytest

CELLS = 'RBC,WBC,Platelets'


@pytest.fixture
def bccd(shared_data):
    root = shared_data / 'bccd'
    if not root.is_dir():
        pytest.skip(f'no {root}')
    return root


def check(logged, iterations):
    trained = [line for line in logged if 'loss' in line]
    assert [line['step'] for line in trained] == list(range(1, iterations + 1))
    assert all(line['loss'] < 10 for line in trained)
    assert trained[-1]['keep_prob'] == pytest.approx(0.9)
    assert trained[-1]['target_keep_rate.backbone.layer4'] < 1
    (evaluated,) = [line for line in logged if 'pascal_voc/mAP' in line]
    return evaluated


def test_small_retinanet_on_cells(run_tool, repo_root, bccd, tmp_path, scalars):
    name = 'retinanet_r18_fpn_dropblock-keep90-block7_scratch_bccd.py'
    options = [
        f'{loop}_dataloader.dataset.{key}={value}'
        for loop in ('train', 'val')
        for key, value in dict(data_root=f'{bccd}/', indices=16).items()
    ]
    run_tool(
        'train',
        str(repo_root / 'configs/bccd' / name),
        *('--work-dir', str(tmp_path / 'run'), '--cfg-options'),
        *options,
        'train_cfg.max_epochs=1',
        'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.save_last=False',
        'default_hooks.checkpoint.interval=9',
    )
    evaluated = check(scalars(tmp_path / 'run'), iterations=2)
    assert {f'pascal_voc/AP{t}' for t in range(50, 100, 5)} <= set(evaluated)


def as_devkit(bccd, root):
    """The cells as if they were VOC: two lists of four to train on, one to test on."""
    names = iter((bccd / 'ImageSets/Main/train.txt').read_text().split())
    for year, split in ((2007, 'trainval'), (2012, 'trainval'), (2007, 'test')):
        lists = root / f'VOC{year}/ImageSets/Main'
        lists.mkdir(parents=True, exist_ok=True)
        lines = [next(names) + '\n' for _ in range(4)]
        (lists / f'{split}.txt').write_text(''.join(lines))
        for folder in ('JPEGImages', 'Annotations'):
            link = root / f'VOC{year}' / folder
            if not link.exists():
                link.symlink_to(bccd / folder)


@pytest.mark.nightly
def test_voc0712_on_cells(run_tool, repo_root, bccd, tmp_path, scalars):
    """ResNet-50 as it is, with images of 128 pixels and three classes."""
    as_devkit(bccd, tmp_path / 'VOCdevkit')
    training = [f'train_dataloader.dataset.datasets.{i}' for i in (0, 1)]
    testing = [f'{loop}_dataloader.dataset' for loop in ('val', 'test')]
    options = ['model.bbox_head.num_classes=3', 'train_dataloader.batch_size=4']
    for prefix in [*training, *testing]:
        options.append(f'{prefix}.data_root={tmp_path}/VOCdevkit/')
        options.append(f'{prefix}.metainfo.classes={CELLS}')
    for prefix in training:
        for step, key in ((3, 'scale'), (4, 'crop_size'), (5, 'size')):
            options.append(f'{prefix}.pipeline.{step}.{key}=(128,128)')
    options += [f'{prefix}.pipeline.1.scale=(128,128)' for prefix in testing]
    for loop in ('train', 'val', 'test'):
        options.append(f'{loop}_dataloader.num_workers=0')
        options.append(f'{loop}_dataloader.persistent_workers=False')
    config = 'retinanet_r50_fpn_sepbn_dropblock-keep90-block7_8xb8-scratch_voc0712.py'
    path, work_dir = str(repo_root / 'configs/pascal_voc' / config), tmp_path / 'run'
    run_tool(
        'train',
        path,
        *('--work-dir', str(work_dir), '--cfg-options', *options),
        'train_cfg.max_epochs=1',
        'param_scheduler.0.end=1',
        'default_hooks.logger.interval=1',
    )
    evaluated = check(scalars(work_dir), iterations=2)

    checkpoint = work_dir / 'epoch_1.pth'
    arguments = ('--work-dir', str(tmp_path / 'test'), '--cfg-options', *options)
    run_tool('test', path, str(checkpoint), *arguments)
    checkpoint.unlink()  # 250 MB; pytest keeps tmp_path
    (tested,) = (tmp_path / 'test').glob('*/*.json')
    assert json.loads(tested.read_text())['pascal_voc/mAP'] == pytest.approx(
        evaluated['pascal_voc/mAP']
    )
