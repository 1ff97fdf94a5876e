"""Trained models are opened from what a run leaves, or refused in one message."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from dropblock_mm.analysis.trained.images import largest_class
from dropblock_mm.analysis.trained.models import (
    ModelFiles,
    check_names_differ,
    class_named,
    find_layer,
    model_files,
    open_model,
)
from dropblock_mm.errors import RefusedError, RefusedFileError, RefusedValueError
from dropblock_mm.runs.runner import turn_channels_last


@pytest.fixture(scope='module')
def classifier(small_run):
    return open_model(model_files([str(small_run('mmpretrain'))]), {})


def test_a_folder_names_config_checkpoint_and_itself(small_run):
    run = small_run('mmpretrain')
    files = model_files([str(run)])
    expected = (run.name, str(run / 'config.py'), str(run / 'epoch_1.pth'))
    assert (files.name, files.config, files.checkpoint) == expected
    assert model_files([str(run), 'mine']).name == 'mine'
    assert model_files(['c.py', 'a/b.pth']) == ModelFiles('b', 'c.py', 'a/b.pth')
    assert model_files(['c.py', 'a/b.pth', 'n']) == ModelFiles('n', 'c.py', 'a/b.pth')


def test_it_is_in_eval_mode_and_has_the_checkpoints_weights(classifier):
    assert not classifier.model.training
    saved = torch.load(classifier.files.checkpoint, weights_only=True)['state_dict']
    own = classifier.model.state_dict()
    assert all(torch.equal(own[key].cpu(), saved[key]) for key in own)
    assert classifier.classes == ('cat', 'dog', 'cow')


@pytest.mark.parametrize('turned', [False, True])
def test_a_data_preprocessor_beside_the_model_is_the_models(
    small_run, tmp_path, turned
):
    run = small_run('mmpretrain')
    cfg = Config.fromfile(str(run / 'config.py'))
    beside = cfg.model.pop('data_preprocessor')
    cfg.data_preprocessor, cfg.channels_last = beside, turned
    cfg.dump(str(tmp_path / 'config.py'))
    opened = open_model(
        ModelFiles('a', str(tmp_path / 'config.py'), str(run / 'epoch_1.pth')), {}
    )
    own = opened.model.data_preprocessor
    assert own.mean.flatten().tolist() == beside.mean
    assert own.std.flatten().tolist() == beside.std


def test_channels_last_takes_what_the_runner_puts_beside_a_model(small_run):
    cfg = Config.fromfile(str(small_run('mmpretrain') / 'config.py'))
    beside = cfg.model.pop('data_preprocessor')
    cfg.channels_last = True
    turn_channels_last(cfg)
    init_default_scope('mmpretrain')
    built = MODELS.build({**cfg.model, 'data_preprocessor': beside})
    assert built.data_preprocessor.mean.flatten().tolist() == beside.mean


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['absent'], 'is no folder'),
        (['{empty}'], 'holds no config'),
        (['{bare}'], 'holds no checkpoint'),
        (['{empty}', 'a', 'b'], 'optionally a name'),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, words, said):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'bare').mkdir()
    (tmp_path / 'bare/config.py').touch()
    places = {'empty': tmp_path / 'empty', 'bare': tmp_path / 'bare'}
    with pytest.raises(RefusedError, match=said):
        model_files([word.format(**places) for word in words])


def test_a_checkpoint_of_another_model_is_refused(small_run):
    other = small_run('mmseg') / 'epoch_1.pth'
    files = ModelFiles('x', str(small_run('mmpretrain') / 'config.py'), str(other))
    with pytest.raises(RefusedValueError, match=r'of another model .* no head\.fc'):
        open_model(files, {})
    missing = ModelFiles('x', files.config, 'absent.pth')
    with pytest.raises(RefusedFileError, match='no such file'):
        open_model(missing, {})


def test_a_layer_that_does_not_exist_has_near_matches(classifier):
    assert find_layer(classifier.model, 'backbone.layer4') is not None
    with pytest.raises(RefusedValueError, match=r"Did you mean 'backbone\.layer4'"):
        find_layer(classifier.model, 'backbone.layer44')
    with pytest.raises(RefusedValueError, match='backbone, neck, head'):
        find_layer(classifier.model, 'zzz')


def test_classes_are_named(classifier):
    assert class_named(classifier, 'dog').label == 1
    with pytest.raises(RefusedValueError, match=r"Did you mean 'cow'"):
        class_named(classifier, 'cows')
    with pytest.raises(RefusedValueError, match='There are: cat, dog, cow'):
        class_named(classifier, '7')


def test_names_must_differ():
    with pytest.raises(RefusedValueError, match="two models are called 'a'"):
        check_names_differ([ModelFiles('a', '', ''), ModelFiles('a', '', '')])


def test_the_largest_class_is_not_the_background():
    labels = torch.tensor([[0, 0, 0, 255], [1, 1, 2, 255]]).numpy()
    found = largest_class(labels)
    assert (found.label, found.region.sum()) == (1, 2)
    assert largest_class(labels * 0).label == 0
    assert largest_class(labels * 0 + 255) is None
