"""The page on classifiers as a user follows it, on few photographs and small ones."""

import json
import re
import shutil

import pytest

TOTAL = 20  # iterations: 4 epochs of 5 batches
SETTINGS = {
    'train_dataloader.dataset.pipeline.1.scale': 64,
    'train_dataloader.batch_size': 4,
    'optim_wrapper.optimizer.lr': 0.01,
    'train_cfg.max_epochs': 4,
    'randomness.seed': 0,
    'default_hooks.logger.interval': 1,
    'default_hooks.checkpoint.max_keep_ckpts': 1,
}


def options():
    settings = dict(SETTINGS)
    for loop in ('val', 'test'):
        settings[f'{loop}_dataloader.dataset.pipeline.1.scale'] = 72
        settings[f'{loop}_dataloader.dataset.pipeline.2.crop_size'] = 64
    for loop in ('train', 'val', 'test'):
        settings[f'{loop}_dataloader.num_workers'] = 0
        settings[f'{loop}_dataloader.persistent_workers'] = False
    return ['--cfg-options', *(f'{key}={value}' for key, value in settings.items())]


@pytest.fixture
def config(repo_root, shared_data, tmp_path):
    """The page's config, with two images of each class in each of its folders."""
    if not (shared_data / 'clothing').is_dir():
        pytest.skip(f'no {shared_data}/clothing')
    page = (repo_root / 'docs/en/classification.md').read_text()
    (code,) = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    for path in sorted((shared_data / 'clothing').glob('*/*')):
        copied = tmp_path / 'data' / path.parent.name / path.name
        copied.mkdir(parents=True)
        for image in sorted(path.iterdir())[:2]:
            shutil.copy(image, copied)
    assert "'data/clothing'" in code
    here = code.replace("'data/clothing'", repr(str(tmp_path / 'data')))
    (tmp_path / 'mine.py').write_text(here)
    return str(tmp_path / 'mine.py')


@pytest.fixture
def work_dir(tmp_path):
    """A work dir that is emptied: pytest keeps tmp_path, checkpoints are large."""
    yield tmp_path / 'run'
    shutil.rmtree(tmp_path / 'run', ignore_errors=True)


def expected_keep_prob(fragment, step):
    if fragment == 'resnet_c4c5':
        return 1 - 0.1 * (step - 1) / (TOTAL - 1)
    return None  # SpatialDropout has no schedule


@pytest.mark.slow
@pytest.mark.parametrize(
    'fragment',
    [
        'resnet_c4c5',
        pytest.param('resnet_c4c5_spatial_dropout', marks=pytest.mark.nightly),
    ],
)
def test_own_folders(config, fragment, work_dir, train_until, run_tool, scalars):
    """Trained, killed, resumed and tested."""
    train = [config, '--dropblock', fragment, '--work-dir', str(work_dir)]
    train_until('epoch_3.pth', *train, *options())
    said = run_tool('train', *train, '--resume', *options())
    assert 'resumed epoch: 2, iter: 10' in said
    steps = [line for line in scalars(work_dir) if 'effective_keep_rate' in line]
    assert steps[-1]['step'] == TOTAL
    for line in steps:
        keep_prob = expected_keep_prob(fragment, line['step'])
        assert line.get('keep_prob') == pytest.approx(keep_prob, abs=1e-6)
    assert 0.9 < steps[-1]['effective_keep_rate'] < 1

    checkpoint = str(work_dir / 'epoch_4.pth')
    test = [config, checkpoint, '--work-dir', f'{work_dir}/t', *options()]
    # The same images as in evaluation, to compare with it.
    run_tool('test', *test, 'test_dataloader.dataset.data_prefix=validation')
    (path,) = (work_dir / 't').glob('*/2*.json')
    metrics, evaluated = json.loads(path.read_text()), scalars(work_dir)[-1]
    assert metrics['accuracy/top5'] > 0
    for name in ('accuracy/top1', 'accuracy/top5'):
        assert metrics[name] == evaluated[name]
