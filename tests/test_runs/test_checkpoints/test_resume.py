import os

import pytest
import torch

from dropblock_mm.runs.checkpoints.resume import latest_checkpoint


@pytest.fixture
def save(tmp_path):
    """A function that saves a file of a given age, whole or not."""

    def write(name, age=0, whole=True):
        path = tmp_path / name
        torch.save({'meta': {}}, path)
        if not whole:
            path.write_bytes(path.read_bytes()[:-50])
        return made(path, age)

    return write


@pytest.fixture
def name(tmp_path):
    """A function that names a file in last_checkpoint, at a given time."""

    def write(path, age=0):
        made(tmp_path / 'last_checkpoint', age, str(path))

    return write


def made(path, age, text=None):
    if text is not None:
        path.write_text(text)
    os.utime(path, ns=(10**18 - age * 10**9,) * 2)
    return str(path)


def test_nothing_saved(tmp_path):
    assert latest_checkpoint(str(tmp_path)) is None
    assert latest_checkpoint(str(tmp_path / 'no_such_folder')) is None


def test_the_named_one(tmp_path, save, name):
    save('epoch_1.pth', age=2)
    newest = save('epoch_2.pth', age=1)
    name(newest)
    assert latest_checkpoint(str(tmp_path)) == newest


def test_a_folder_that_was_moved(tmp_path, save, name):
    name('/elsewhere/epoch_3.pth')
    assert latest_checkpoint(str(tmp_path)) == '/elsewhere/epoch_3.pth'
    moved = save('epoch_3.pth')
    assert latest_checkpoint(str(tmp_path)) == moved


def test_a_folder_that_was_copied(tmp_path, save, name):
    """Then times say in which order the files were copied."""
    newest = save('epoch_2.pth', age=2)
    name(newest, age=1)
    save('epoch_1.pth', age=0)
    assert latest_checkpoint(str(tmp_path)) == newest


def test_files_of_an_earlier_run(tmp_path, save, name):
    """Training started anew in the same folder, without --resume."""
    save('epoch_12.pth', age=5)
    newest = save('epoch_1.pth', age=1)
    name(newest)
    assert latest_checkpoint(str(tmp_path)) == newest


@pytest.mark.parametrize('marker', [None, '', 'epoch_1.pth'])
def test_saved_but_not_named_yet(tmp_path, save, name, marker):
    named = save('epoch_1.pth', age=2)
    if marker is not None:
        name(marker and named, age=1)
    newest = save('epoch_2.pth')
    assert latest_checkpoint(str(tmp_path)) == newest


def test_the_last_whole_one(tmp_path, save, name, capsys):
    save('iter_10.pth', age=3)
    whole = save('iter_20.pth', age=2)
    name(save('iter_30.pth', age=1, whole=False))
    assert latest_checkpoint(str(tmp_path)) == whole
    said = capsys.readouterr().err
    assert 'iter_30.pth' in said
    assert f'going on from {whole!r}' in said


def test_a_named_one_that_is_gone(tmp_path, save, name, capsys):
    """MMEngine deletes the old one before it writes the new one."""
    whole = save('epoch_1.pth', age=2)
    name(tmp_path / 'epoch_2.pth')
    assert latest_checkpoint(str(tmp_path)) == whole
    assert 'epoch_2.pth' in capsys.readouterr().err


def test_checkpoints_in_another_folder(tmp_path, save, name):
    """CheckpointHook's out_dir."""
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    whole = save('elsewhere/epoch_1.pth', age=2)
    name(save('elsewhere/epoch_2.pth', age=1, whole=False))
    assert latest_checkpoint(str(tmp_path)) == whole


def test_nothing_whole(tmp_path, save, name):
    """The caller has to refuse it: starting anew would overwrite the rest."""
    save('epoch_1.pth', age=2, whole=False)
    damaged = save('epoch_2.pth', age=1, whole=False)
    assert latest_checkpoint(str(tmp_path)) == damaged
    name(damaged)
    assert latest_checkpoint(str(tmp_path)) == damaged


def test_neither_best_nor_unfinished_ones(tmp_path, save):
    for other in ('best_coco_bbox_mAP_epoch_2.pth', 'epoch_3.pth.part', 'weights.pth'):
        save(other)
    assert latest_checkpoint(str(tmp_path)) is None


def test_remote_files_are_left_to_mmengine(tmp_path, name):
    name('s3://bucket/epoch_2.pth')
    assert latest_checkpoint(str(tmp_path)) == 's3://bucket/epoch_2.pth'
