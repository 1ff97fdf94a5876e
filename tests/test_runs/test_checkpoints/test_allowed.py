"""What Runners save is read back, and the list for it leads nowhere else."""

import datetime
import importlib.util
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.config.lazy import LazyObject
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.registry import OPTIMIZERS, PARAM_SCHEDULERS
from torch import nn

from dropblock_mm.runs.checkpoints.allowed import mmengine_globals

# What a scheduler needs beside its optimizer, by how its name begins.
ARGUMENTS = {
    'MultiStep': dict(milestones=[2]),
    'Step': dict(step_size=2),
    'Exponential': dict(gamma=0.9),
    'CosineAnnealing': dict(T_max=5),
    'CosineRestart': dict(periods=[2, 3], restart_weights=[1, 0.5], eta_min=0.0),
    'OneCycle': dict(eta_max=0.1, total_steps=10),
    'ReduceOnPlateau': dict(monitor='loss'),
    'Constant': {},
    'Linear': {},
    'Poly': {},
}
# They need a process group, or closures, or other gradients.
NOT_STEPPED = {'Optimizer', 'ZeroRedundancyOptimizer', 'SparseAdam'}


@pytest.fixture
def round_trip():
    """A function that writes a value, and reads it as the commands do."""
    torch.serialization.add_safe_globals(mmengine_globals())

    def trip(value):
        file = io.BytesIO()
        torch.save(value, file)
        file.seek(0)
        return torch.load(file, weights_only=True)

    return trip


def stepped(name):
    """The optimizer of a parameter, after two steps."""
    parameter = nn.Parameter(torch.arange(12.0).reshape(3, 4))
    optimizer = OPTIMIZERS.get(name)([parameter], lr=0.1)

    def loss():
        optimizer.zero_grad()
        total = (parameter**2).sum()
        total.backward()
        return total

    for _ in range(2):
        loss()
        optimizer.step(loss)
    return optimizer


def scheduler(name, **more):
    options = next(a for start, a in ARGUMENTS.items() if name.startswith(start))
    if name.endswith('ParamScheduler'):
        options = options | {'param_name': 'lr'}
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)
    return PARAM_SCHEDULERS.get(name)(OptimWrapper(sgd), **options, **more)


@pytest.mark.parametrize('name', sorted(PARAM_SCHEDULERS.module_dict))
def test_every_scheduler_of_mmengine(round_trip, name):
    saved = scheduler(name).state_dict()
    again = scheduler(name)
    again.load_state_dict(round_trip(saved))
    assert again.state_dict() == saved


@pytest.mark.parametrize('strategy', ['cos', 'linear'])
def test_one_cycle_goes_on_as_it_would_have(round_trip, strategy):
    one, other = (scheduler('OneCycleLR', anneal_strategy=strategy) for _ in range(2))
    for _ in range(3):
        one.step()
    other.load_state_dict(round_trip(one.state_dict()))
    for _ in range(3):
        one.step()
        other.step()
        assert other.get_last_value() == one.get_last_value()


@pytest.mark.parametrize('name', sorted(set(OPTIMIZERS.module_dict) - NOT_STEPPED))
def test_every_optimizer(round_trip, name):
    optimizer = stepped(name)
    saved = OptimWrapper(optimizer).state_dict()
    loaded = round_trip(saved)
    optimizer.load_state_dict(loaded)
    assert loaded.keys() == saved.keys()
    assert loaded['state'].keys() == saved['state'].keys()


@pytest.mark.parametrize('library', ['mmdet', 'mmpretrain'])
def test_the_schedulers_of_libraries(round_trip, library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f'{library} is not installed')
    engine = importlib.import_module(f'{library}.registry')
    importlib.import_module(f'{library}.engine')
    own = engine.PARAM_SCHEDULERS.module_dict
    assert own
    for name, kind in own.items():
        sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)
        options = dict(T_max=5) if name.startswith('Cosine') else dict(end=5)
        if name.endswith('ParamScheduler'):
            options['param_name'] = 'lr'
        saved = kind(sgd, **options).state_dict()
        assert round_trip(saved) == saved


@pytest.mark.parametrize(
    'value',
    [
        ConfigDict(classes=('cat', 'dog'), names=dict(cat=dict(latin='Felis'))),
        ConfigDict(),
        dict(palette=[(1, 2, 3)], ids={1, 2}, frozen=frozenset({3}), one=1 + 2j),
        [range(3), slice(1, None), Path('a/b.json'), b'bytes'],
        [datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)],
        [datetime.date(2026, 1, 2), datetime.timedelta(3), datetime.time(4)],
        [np.float32(1), np.bool_(True), np.str_('a'), np.complex64(1j)],
        [np.datetime64('2026-01-02'), np.timedelta64(3, 's'), np.bytes_(b'a')],
    ],
)
def test_values_that_metainfo_and_hooks_keep(round_trip, value):
    loaded = round_trip(value)
    assert loaded == value
    assert type(loaded) is type(value)


def test_arrays_of_text(round_trip):
    loaded = round_trip(dict(names=np.array(['cat', 'dog'])))
    assert loaded['names'].tolist() == ['cat', 'dog']


def test_the_real_classes_cannot_be_called():
    listed = [e[0] if isinstance(e, tuple) else e for e in mmengine_globals()]
    for kind in (ConfigDict, OneCycleParamScheduler, LazyObject, getattr):
        assert kind not in listed
    functions = [OneCycleParamScheduler._annealing_cos, HistoryBuffer.mean]
    assert not set(functions) & set(filter(callable, listed))


class Calls:
    """Pickled as a call of what a checkpoint may name."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_scheduler_is_not_built(round_trip):
    with pytest.raises(Exception, match='not callable'):
        round_trip(Calls(OneCycleParamScheduler, 1, 'lr'))


@pytest.mark.parametrize(
    'name', ['__init__', '__globals__', '__class__', 'load_state_dict', 'functions']
)
def test_a_scheduler_is_asked_for_nothing_else(round_trip, name):
    with pytest.raises(pickle.UnpicklingError, match=r'builtins\.getattr'):
        round_trip(Calls(getattr, OneCycleParamScheduler, name))


def test_its_functions_are_not_called(round_trip):
    annealing = OneCycleParamScheduler._annealing_cos
    with pytest.raises(pickle.UnpicklingError, match='unrecognized function'):
        round_trip(Calls(annealing, 0.0, 1.0, 0.5))


def test_a_config_is_made_of_plain_dicts_only(round_trip):
    with pytest.raises(pickle.UnpicklingError, match='ConfigDict is given'):
        round_trip(Calls(ConfigDict, [('a', 1)]))


def test_configs_do_not_import_later(round_trip):
    ConfigDict.lazy = True
    try:
        config = ConfigDict(a=LazyObject('os'))
        with pytest.raises(pickle.UnpicklingError, match='LazyObject'):
            round_trip(config)
    finally:
        ConfigDict.lazy = False


@pytest.mark.parametrize(
    'array', [np.array([{}], dtype=object), np.zeros(1, dtype=[('a', 'O')])]
)
def test_arrays_of_objects_stay_refused(round_trip, array):
    with pytest.raises(pickle.UnpicklingError, match='dtype'):
        round_trip(array)
