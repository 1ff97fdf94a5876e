import pytest
from mmengine.config import Config

from dropblock_mm import runs
from dropblock_mm.runs import settings
from dropblock_mm.runs.libraries import LIBRARIES, installed_by, tune


@pytest.mark.parametrize('library', LIBRARIES, ids=lambda library: library.scope)
def test_a_library_that_is_not_installed_is_named(library, monkeypatch):
    monkeypatch.setattr(settings.importlib.util, 'find_spec', lambda name: None)
    named = ' or '.join(library.installed_by)
    with pytest.raises(ModuleNotFoundError, match=f'Install {named}, or correct'):
        runs.prepare_library(Config(dict(default_scope=library.scope)))


def test_others_go_by_their_scope():
    assert installed_by('mmpose') == 'mmpose'
    tune('mmpose')  # nothing is known of it


def test_detectors_are_tuned(monkeypatch):
    done = []
    name = 'mmdet.utils.setup_cache_size_limit_of_dynamo'
    monkeypatch.setattr(name, lambda: done.append('mmdet'))
    for library in LIBRARIES:
        tune(library.scope)
    assert done == ['mmdet']
