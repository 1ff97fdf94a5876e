import copy
import inspect

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from dropblock_mm.config_files import config_path, fragment_names
from dropblock_mm.hooks.fragments import (
    add_fragment,
    find_fragment,
    seed_ranks_apart,
    uses_drop_block,
)

INJECT, SCHEDULE = (
    'dropblock_mm.DropBlockInjectionHook',
    'dropblock_mm.KeepProbScheduleHook',
)


def fragment_file(folder, text):
    path = folder / 'mine.py'
    path.write_text(text)
    return str(path)


def test_the_shipped_fragments():
    paper = {'resnet_c4c5', 'resnet_c5', 'decode_head'}
    baselines = {'_dropout', '_spatial_dropout'}
    paper |= {f'resnet_c4c5{name}' for name in baselines} | {'resnet_c5_drop_path'}
    others = {'auto', 'cspnext', 'csp_darknet', 'efficientnet', 'hrnet', 'mobilenet'}
    assert paper | others == set(fragment_names())


@pytest.mark.parametrize('name', fragment_names())
def test_every_fragment_is_a_base_too(name, tmp_path):
    path = config_path(f'_base_/dropblock/{name}.py')
    child = tmp_path / 'child.py'
    child.write_text(f'_base_ = [{path!r}]\n')
    added = add_fragment(Config({}), name)
    assert Config.fromfile(child).custom_hooks == added.custom_hooks
    first, *others = [hook.type for hook in added.custom_hooks]
    of_drop_block = 'drop' not in name
    assert first == (INJECT if of_drop_block else 'dropblock_mm.InjectionHook')
    # The baselines of convolutions have a constant rate.
    assert others == ([] if name.endswith('dropout') else [SCHEDULE])


def test_hooks_come_after_the_configs_own():
    own = Config(dict(custom_hooks=[dict(type='EMAHook')]))
    before = copy.deepcopy(own.to_dict())
    added = add_fragment(own, 'resnet_c5')
    types = [hook.type for hook in added.custom_hooks]
    assert types == ['EMAHook', INJECT, SCHEDULE]
    assert own.to_dict() == before


@pytest.mark.parametrize('hooks', [None, []])
def test_a_config_without_hooks(hooks):
    added = add_fragment(Config(dict(custom_hooks=hooks)), 'resnet_c5')
    assert len(added.custom_hooks) == 2


def test_a_file(tmp_path):
    path = fragment_file(tmp_path, "custom_hooks = [dict(type='A')]")
    assert add_fragment(Config({}), path).custom_hooks == [dict(type='A')]


def test_a_package_path():
    named = 'dropblock_mm::_base_/dropblock/resnet_c5.py'
    assert find_fragment(named) == find_fragment('resnet_c5')


def test_other_keys_fill_only_gaps(tmp_path):
    path = fragment_file(
        tmp_path,
        "custom_hooks = [dict(type='A')]\n"
        'randomness = dict(seed=1, diff_rank_seed=True)\n'
        "visualizer = dict(type='B', name='b')\n"
        'find_unused_parameters = True\n'
        'load_from = "weights.pth"\n',
    )
    cfg = Config(
        dict(randomness=dict(seed=7), visualizer=dict(type='C'), load_from=None)
    )
    added = add_fragment(cfg, path)
    assert added.randomness == dict(seed=7, diff_rank_seed=True)
    assert added.visualizer == dict(type='C')
    assert added.find_unused_parameters is True
    assert added.load_from == 'weights.pth'


def test_missing_fragment_lists_those_that_exist():
    with pytest.raises(FileNotFoundError, match="--dropblock 'resnet_c6'") as error:
        add_fragment(Config({}), 'resnet_c6')
    assert all(name in str(error.value) for name in fragment_names())


@pytest.mark.parametrize('text', ['', 'custom_hooks = []', 'custom_hooks = None'])
def test_a_fragment_without_hooks_is_an_error(tmp_path, text):
    with pytest.raises(ValueError, match=r'mine\.py.* adds nothing'):
        add_fragment(Config({}), fragment_file(tmp_path, text))


def test_ranks_are_seeded_apart_unless_the_config_objects():
    apart = seed_ranks_apart(Config(dict(randomness=dict(seed=3))))
    assert apart.randomness == dict(seed=3, diff_rank_seed=True)
    alone = seed_ranks_apart(Config({})).randomness
    assert alone == dict(seed=None, diff_rank_seed=True)
    # MMEngine has no default for the seed.
    inspect.signature(Runner.set_randomness).bind(None, **alone)
    same = seed_ranks_apart(Config(dict(randomness=dict(diff_rank_seed=False))))
    assert same.randomness.diff_rank_seed is False


def test_uses_drop_block():
    assert uses_drop_block(add_fragment(Config({}), 'resnet_c5'))
    assert not uses_drop_block(Config(dict(custom_hooks=[dict(type='EMAHook')])))
    assert not uses_drop_block(Config({}))
