"""A resumed run of iterations sees the images that an uninterrupted one would see."""

import inspect
import itertools
import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import Runner, loops
from torch.utils.data import Dataset, Sampler

from dropblock_mm.runs import advance_sampler_alone
from dropblock_mm.runs.checkpoints import safe_loading as safe
from dropblock_mm.runs.resuming import AdvancedBatchSampler
from dropblock_mm.testing.processes import start_script

OURS = 'dropblock_mm.IterBasedTrainLoop'
STOPPED, ITERATIONS, IMAGES, BATCH = 9, 14, 7, 2
# onedl-mmengine, which has an option for it.
BY_ITSELF = (
    'fast_forward_on_resume' in inspect.signature(loops.IterBasedTrainLoop).parameters
)
numbers = itertools.count()


class Numbered(Dataset):
    """Data that are their own numbers, and count how many were loaded."""

    def __init__(self, length=IMAGES):
        self.length = length
        self.loaded = multiprocessing.Value('i', 0)  # workers count too
        self.copies = 0
        self.metainfo = {'classes': ('even', 'odd')}

    def __deepcopy__(self, memo):
        self.copies += 1
        return self

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        with self.loaded.get_lock():
            self.loaded.value += 1
        return {'inputs': torch.tensor(float(index))}

    def get_data_info(self, index):
        return {'width': 1 + index % 3, 'height': 2}

    def get_cat_ids(self, index):
        return [index % 2]


class Weight(BaseModel):
    """The smallest model: it is there so that a loop can train something."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, mode='loss'):
        return {'loss': (self.weight * inputs).mean()}


class Recorder(Hook):
    """Note the images of every iteration."""

    priority = 'HIGHEST'

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append(data_batch['inputs'].tolist())


@DATA_SAMPLERS.register_module()
class Backwards(Sampler):
    """A user's own sampler: no seed, no length of its own, no passes to count."""

    def __init__(self, dataset, seed=None):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __iter__(self):
        return iter(range(len(self.dataset) - 1, -1, -1))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No two seconds of waiting at the end of each pass over the data."""
    monkeypatch.setattr(loops, 'time', SimpleNamespace(sleep=lambda seconds: None))
    torch.serialization.add_safe_globals(safe.mmengine_globals())


def train(
    folder,
    until,
    *,
    resume=None,
    loop=OURS,
    dataset=None,
    world=1,
    every=1000,
    **settings,
):
    """Train and return what was seen, the weight, and how many were loaded."""
    loader = settings.pop('loader', {})
    dataset = dataset or Numbered()
    if isinstance(loader, dict):
        loader = {
            'batch_size': BATCH,
            'dataset': dataset,
            'sampler': {'type': 'InfiniteSampler', 'shuffle': True},
            'collate_fn': {'type': 'default_collate'},
            **loader,
        }
    options = {'optimizer': {'type': 'SGD', 'lr': 0.001}}
    options |= settings.pop('optim_wrapper', {})
    randomness = settings.pop('randomness', {'seed': 3})
    checkpoint = {'type': 'CheckpointHook', 'interval': every, 'by_epoch': False}
    recorder = Recorder()
    cfg = {
        'model': Weight(),
        'work_dir': str(folder),
        'train_dataloader': loader,
        'train_cfg': {
            'type': loop,
            'max_iters': until,
            **settings.pop('train_cfg', {}),
        },
        'optim_wrapper': options,
        'randomness': randomness,
        'custom_hooks': [recorder],
        'default_hooks': {'checkpoint': checkpoint, 'logger': None},
        'resume': resume is not None,
        'load_from': resume and f'{folder}/iter_{resume}.pth',
        'experiment_name': f'resuming_{next(numbers)}',
        'log_level': 'ERROR',
        'launcher': 'none' if world == 1 else 'pytorch',
        'cfg': {'randomness': randomness},
    }
    if world > 1:
        wrapper = {'type': 'MMDistributedDataParallel', 'device_ids': None}
        cfg['cfg']['model_wrapper_cfg'] = wrapper
    runner = Runner(**cfg)
    runner.train()
    weight = [float(p.detach()) for p in runner.model.parameters()]
    return recorder.seen, weight, dataset.loaded.value


class Drawing(Numbered):
    """Data that a worker adds a random share to."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return {'inputs': item['inputs'] + torch.rand(()) / 2}


def test_workers_of_a_resumed_run_draw_other_numbers(tmp_path):
    """They load nothing of what was trained, and would begin with its numbers."""
    settings = dict(loader=dict(num_workers=1), dataset=Drawing())
    whole, _, _ = train(tmp_path, 4, every=2, **settings)
    rest, _, _ = train(tmp_path, 4, resume=2, **settings)
    first, last = [[x % 1 for batch in part for x in batch] for part in (whole, rest)]
    assert not set(first) & set(last)


def check(folder, stopped=STOPPED, iterations=ITERATIONS, **settings):
    """Resume; return how many images the resumed run loaded."""
    whole, weight, _ = train(folder / 'whole', iterations, **settings)
    first, _, _ = train(folder / 'run', stopped, **settings)
    rest, resumed, loaded = train(
        folder / 'run', iterations, resume=stopped, **settings
    )
    assert first == whole[:stopped]
    assert rest == whole[stopped:]
    assert resumed == pytest.approx(weight)
    assert len({str(batch) for batch in whole}) > 2
    return loaded


LOADERS = {
    'infinite': {},
    'in order': {'sampler': {'type': 'InfiniteSampler', 'shuffle': False}},
    'several passes': {'sampler': {'type': 'DefaultSampler', 'shuffle': True}},
    'passes, no incomplete batch': {
        'sampler': {'type': 'DefaultSampler', 'shuffle': True},
        'drop_last': True,
    },
    'by aspect ratio': {'batch_sampler': {'type': 'mmdet.AspectRatioBatchSampler'}},
    'by aspect ratio, several passes': {
        'sampler': {'type': 'DefaultSampler', 'shuffle': True},
        'batch_sampler': {'type': 'mmdet.AspectRatioBatchSampler', 'drop_last': True},
    },
    'by class': {'sampler': {'type': 'mmdet.ClassAwareSampler'}},
    "of one's own": {'sampler': {'type': 'Backwards'}},
    'a seed of its own': {'sampler': {'type': 'InfiniteSampler', 'seed': 11}},
    'short epochs': {
        'sampler': {'type': 'DefaultSampler', 'shuffle': True},
        'num_batch_per_epoch': 2,
    },
}


@pytest.mark.parametrize('name', LOADERS)
def test_the_same_images_in_the_same_order(tmp_path, name):
    """And only those of the rest are loaded."""
    loaded = check(tmp_path, loader=LOADERS[name])
    assert loaded <= (ITERATIONS - STOPPED) * BATCH


@pytest.mark.parametrize('stopped', [1, 3, 4, 8, 12])
def test_wherever_a_pass_ends(tmp_path, stopped):
    """A pass over 7 images has 4 batches."""
    loader = {'sampler': {'type': 'DefaultSampler', 'shuffle': True}}
    check(tmp_path, stopped, loader=loader)


# Ending workers takes torch ten seconds and more; the ranks below have some too.
@pytest.mark.nightly
@pytest.mark.parametrize('sampler', ['DefaultSampler', 'InfiniteSampler'])
@pytest.mark.parametrize('persistent', [False, True])
def test_several_workers(tmp_path, sampler, persistent):
    loader = {
        'num_workers': 2,
        'persistent_workers': persistent,
        'sampler': {'type': sampler, 'shuffle': True},
    }
    # A pass over the data ends the workers, and starting some takes time.
    stopped = 30 if sampler == 'InfiniteSampler' else 10
    loaded = check(tmp_path, stopped, stopped + 3, loader=loader)
    # Workers load ahead, at the beginning and at the end; not what was trained.
    assert loaded < stopped * BATCH


def test_several_sources(tmp_path):
    class Sources(Numbered):
        datasets, cumulative_sizes = (range(5), range(9)), [5, 14]

    sources = Sources(14)
    sampler = {'type': 'mmdet.MultiSourceSampler', 'batch_size': 3}
    sampler['source_ratio'] = [1, 2]
    loader = {'sampler': sampler, 'batch_size': 3}
    check(tmp_path, loader=loader, dataset=sources)


@pytest.mark.parametrize('stopped', [8, 4])
def test_gradient_accumulation(tmp_path, stopped):
    """The weight, which :func:`check` compares, depends on which images are summed."""
    check(tmp_path, stopped, optim_wrapper={'accumulative_counts': 4})


@pytest.mark.parametrize('apart', [False, True])
def test_a_run_without_a_seed(tmp_path, apart):
    """MMEngine draws one; the resumed run goes on with that, not with its own."""
    settings = {'randomness': {'seed': None, 'diff_rank_seed': apart}}
    train(tmp_path, STOPPED, **settings)
    seen = [
        train(tmp_path, ITERATIONS, resume=STOPPED, **settings)[0] for _ in range(3)
    ]
    assert seen[0] == seen[1] == seen[2]
    hub = torch.load(tmp_path / f'iter_{STOPPED}.pth', weights_only=False)
    seed = hub['message_hub']['runtime_info']['train_sampler_seed']
    generator = torch.Generator().manual_seed(seed)
    expected = torch.cat([torch.randperm(IMAGES, generator=generator) for _ in '1234'])
    assert seen[0] == expected[: ITERATIONS * BATCH].view(-1, BATCH).tolist()[STOPPED:]


def test_a_checkpoint_that_mmengines_loop_wrote(tmp_path):
    whole, *_ = train(tmp_path / 'whole', ITERATIONS, loop='IterBasedTrainLoop')
    train(tmp_path, STOPPED, loop='IterBasedTrainLoop')
    rest, *_ = train(tmp_path, ITERATIONS, resume=STOPPED)
    assert rest == whole[STOPPED:]


@pytest.mark.skipif(BY_ITSELF, reason='onedl-mmengine advances the sampler by itself')
def test_mmengine_alone_would_load_everything(tmp_path):
    """What the loop is for: should MMEngine change this, it can go."""
    train(tmp_path, STOPPED)
    dataset = Numbered()
    train(
        tmp_path, ITERATIONS, resume=STOPPED, loop='IterBasedTrainLoop', dataset=dataset
    )
    assert dataset.loaded.value >= ITERATIONS * BATCH


def test_a_data_set_is_not_copied_once_more(tmp_path):
    train(tmp_path, STOPPED)
    copies = []
    for resume in (None, STOPPED):
        dataset = Numbered()
        train(tmp_path, ITERATIONS, resume=resume, dataset=dataset)
        copies.append(dataset.copies)
    assert copies[0] == copies[1] > 0


def test_a_loader_that_is_built_is_advanced_as_mmengine_does(tmp_path):
    def built(dataset):
        parts = {'dataset': dataset, 'sampler': {'type': 'InfiniteSampler', 'seed': 3}}
        parts |= {'batch_size': BATCH, 'collate_fn': {'type': 'default_collate'}}
        return Runner.build_dataloader(parts)

    whole, *_ = train(tmp_path, ITERATIONS, every=STOPPED, loader=built(Numbered()))
    rest, *_ = train(tmp_path, ITERATIONS, resume=STOPPED, loader=built(Numbered()))
    assert rest == whole[STOPPED:]


def main(argv):
    """Be one of two ranks; what a process of its own does with this file."""
    _rank(int(argv[0]), Path(argv[1]))


def _rank(rank, folder, world=2, stopped=STOPPED):
    loops.time = SimpleNamespace(sleep=lambda seconds: None)
    torch.serialization.add_safe_globals(safe.mmengine_globals())
    os.environ.update(RANK=f'{rank}', LOCAL_RANK=f'{rank}', WORLD_SIZE=f'{world}')
    store = f'file://{folder}/store'
    dist.init_process_group('gloo', init_method=store, rank=rank, world_size=world)
    options = {
        'world': world,
        'randomness': {'seed': None, 'diff_rank_seed': True},
        'optim_wrapper': {'accumulative_counts': 2},
        'loader': {'num_workers': 1},
    }
    found = {}
    for sampler in ('InfiniteSampler', 'DefaultSampler'):
        options['loader'] |= {'sampler': {'type': sampler, 'shuffle': True}}
        place = folder / sampler
        whole = train(place, ITERATIONS, every=stopped, **options)[0]
        rest, _, loaded = train(place, ITERATIONS, resume=stopped, **options)
        found[sampler] = (whole[stopped:], rest)
        # Workers load ahead, at the beginning and at the end; not what was trained.
        assert loaded < ITERATIONS * BATCH
    torch.save(found, folder / f'{rank}.pt')
    dist.destroy_process_group()


def test_several_ranks(tmp_path):
    """With seeds that part, as DropBlock wants them, and none that is given."""
    script = Path(__file__)
    said = [tmp_path / f'{rank}.txt' for rank in range(2)]
    ranks = [
        start_script(script, [str(rank), str(tmp_path)], said[rank])
        for rank in range(2)
    ]
    for process in ranks:
        process.join(300)
    assert [process.exitcode for process in ranks] == [0, 0], said[0].read_text()
    found = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    for sampler in ('InfiniteSampler', 'DefaultSampler'):
        for rank in found:
            expected, seen = rank[sampler]
            assert seen == expected
            assert len(seen) == ITERATIONS - STOPPED
        assert found[0][sampler][1] != found[1][sampler][1]


@pytest.mark.parametrize(
    ('loop', 'expected'),
    [
        (
            {'type': 'IterBasedTrainLoop', 'max_iters': 5},
            {'type': OURS, 'max_iters': 5},
        ),
        ({'by_epoch': False, 'max_iters': 5}, {'type': OURS, 'max_iters': 5}),
        ({'by_epoch': True, 'max_epochs': 5}, {'by_epoch': True, 'max_epochs': 5}),
        ({'type': 'EpochBasedTrainLoop'}, {'type': 'EpochBasedTrainLoop'}),
        ({'type': 'MyIterBasedTrainLoop'}, {'type': 'MyIterBasedTrainLoop'}),
        (None, None),
    ],
)
def test_the_loop_takes_the_place_of_mmengines(loop, expected):
    cfg = Config({'train_cfg': loop})
    advance_sampler_alone(cfg)
    assert cfg.train_cfg == expected


@pytest.mark.parametrize('fast', [False, True])
def test_the_option_of_onedl_mmengine(tmp_path, monkeypatch, fast):
    """Its loop calls ``skip_iter``, unless told to go on with the first images."""

    def run(self):
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self.iter and not self.fast_forward_on_resume:
            self.dataloader_iterator.skip_iter(self.iter)
        while self.iter < self.max_iters:
            self.run_iter(next(self.dataloader_iterator))

    whole, *_ = train(tmp_path, ITERATIONS, every=STOPPED)
    option = {'fast_forward_on_resume': fast} if BY_ITSELF else {}
    if not BY_ITSELF:
        parent = loops.IterBasedTrainLoop
        monkeypatch.setattr(parent, 'fast_forward_on_resume', fast, raising=False)
        monkeypatch.setattr(parent, 'run', run)
    rest, *_ = train(tmp_path, ITERATIONS, resume=STOPPED, train_cfg=option)
    assert rest == (whole[: len(rest)] if fast else whole[STOPPED:])


def test_nothing_to_train_on_is_no_endless_loop():
    assert not [*AdvancedBatchSampler([], 2, skip=3)]
