"""Folders of scenes are whole or not there, whatever happens to them."""

import shutil
from pathlib import Path

import pytest

from dropblock_mm.datasets import cache, digit_scenes, make_digit_scenes


@pytest.fixture
def copy(scenes, tmp_path):
    return Path(shutil.copytree(scenes, tmp_path / 'scenes'))


def test_a_complete_folder_is_left_alone(copy, no_sklearn, settings):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob('*')}
    make_digit_scenes(copy, **settings)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob('*')} == before


@pytest.mark.parametrize(
    'damaged',
    [
        'manifest.json',
        'annotations/instances_val.json',
        'JPEGImages/train_000003.jpg',
        'SegmentationClass/val_000001.png',
    ],
)
@pytest.mark.parametrize('damage', ['missing', 'cut short', 'same size'])
def test_a_damaged_folder_is_remade(copy, scenes, damaged, damage, settings, bytes_of):
    path = copy / damaged
    content = path.read_bytes()
    if damage == 'missing':
        path.unlink()
    elif damage == 'cut short':
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(b'x' + content[1:])
    make_digit_scenes(copy, **settings)
    assert bytes_of(copy) == bytes_of(scenes)
    assert [path.name for path in copy.parent.iterdir()] == ['scenes']


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch, settings):
    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cache, 'write_manifest', interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_digit_scenes(tmp_path / 'new' / 'scenes', **settings)
    assert list((tmp_path / 'new').iterdir()) == []


def test_an_interruption_leaves_the_old_folder(copy, monkeypatch, settings, bytes_of):
    (copy / 'JPEGImages/train_000003.jpg').unlink()
    before = bytes_of(copy)
    monkeypatch.setattr(cache, 'write_manifest', lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_digit_scenes(copy, **settings)
    assert bytes_of(copy) == before


def test_another_process_may_be_faster(
    scenes, tmp_path, monkeypatch, settings, bytes_of
):
    root = tmp_path / 'scenes'
    write_manifest = cache.write_manifest

    def write_manifest_too_late(folder, recipe):
        write_manifest(folder, recipe)
        shutil.copytree(scenes, root)

    monkeypatch.setattr(cache, 'write_manifest', write_manifest_too_late)
    make_digit_scenes(root, **settings)
    assert bytes_of(root) == bytes_of(scenes)
    assert [path.name for path in tmp_path.iterdir()] == ['scenes']


def test_scenes_of_another_generator_are_remade(copy, scenes, monkeypatch, settings):
    version = digit_scenes.GENERATOR_VERSION + 1
    monkeypatch.setattr(digit_scenes, 'GENERATOR_VERSION', version)
    make_digit_scenes(copy, **settings)
    assert cache.read_manifest(copy)['recipe']['generator'] == version
