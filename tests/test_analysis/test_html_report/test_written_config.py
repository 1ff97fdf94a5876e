"""Dumped configs are read as data: nothing in them runs."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from dropblock_mm.analysis.html_report.written_config import (
    facts_of,
    read_written_config,
)
from dropblock_mm.errors import RefusedValueError

LEAVES = st.none() | st.booleans() | st.integers() | st.sampled_from(['', 'a.B', '<x>'])
NAMES = st.sampled_from(['model', 'type', 'targets', 'lr', 'dataset', 'datasets'])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=8,
)


def test_it_reads_what_mmengine_dumps(tmp_path):
    content = {
        'model': {'type': 'A', 'sizes': (1, 2), 'parts': [{'x': -1.5}, None]},
        'custom_hooks': [{'type': 'B', 'odd name': {'1-2': True}}],
    }
    Config(content).dump(str(tmp_path / 'config.py'))
    assert read_written_config(tmp_path / 'config.py') == content


def test_nothing_in_it_is_run(tmp_path):
    path = tmp_path / 'config.py'
    witness = tmp_path / 'run'
    path.write_text(
        f'import pathlib\npathlib.Path({str(witness)!r}).touch()\n'
        f'a = pathlib.Path({str(witness)!r}).touch()\n'
        f'b = dict(x=pathlib.Path({str(witness)!r}).touch())\nc = dict(x=1)\n'
    )
    assert read_written_config(path) == {'c': {'x': 1}}
    assert not witness.exists()


@pytest.mark.parametrize('text', ['model = dict(', 'a = "\0"', 'model ='])
def test_what_is_cut_short_is_refused(tmp_path, text):
    path = tmp_path / 'config.py'
    path.write_text(text)
    with pytest.raises(RefusedValueError, match=r'config\.py cannot be read'):
        read_written_config(path)


# A busy machine is no mistake of the test's.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(
            ['model', 'train_dataloader', 'train_cfg', 'custom_hooks', 'randomness']
        ),
        VALUES,
    )
)
def test_facts_are_words_whatever_the_config_holds(config):
    facts = facts_of(config)
    assert all(isinstance(value, str) and value for value in facts.values())


def test_the_model_in_channels_last_is_named_and_not_its_wrapper():
    inner = {'type': 'RetinaNet', 'backbone': {'type': 'ResNet', 'depth': 18}}
    wrapped = {'type': 'dropblock_mm.ChannelsLast', 'model': inner}
    assert facts_of({'model': wrapped})['model'] == 'RetinaNet, ResNet-18'
