from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from dropblock_mm.data_checks.failed_batch import naming_failed_batch


class Runner:
    """Registers a hook and calls it as mmengine's loops do."""

    def register_hook(self, hook, priority):
        self.hook = hook

    def begin(self, batch):
        self.hook.before_train_iter(self, 0, data_batch=batch)

    def end(self):
        self.hook.after_train_iter(self, 0, data_batch=None, outputs=None)


def iterate(runner, batch, end):
    with naming_failed_batch(runner):
        runner.begin(batch)
        if end:
            runner.end()
        raise IndexError


def fail(batch, end=False):
    with pytest.raises(IndexError):
        iterate(Runner(), batch, end)


def test_detection(capsys):
    samples = [BaseDataElement(metainfo=dict(img_path=f'{n}.jpg')) for n in 'ab']
    fail(dict(inputs=None, data_samples=samples))
    said = capsys.readouterr().err
    assert said.startswith('error: the iteration that failed had\n  a.jpg\n  b.jpg\n')


def test_segmentation(capsys):
    sample = BaseDataElement(metainfo=dict(img_path='a.jpg', seg_map_path='a.png'))
    labels = torch.tensor([[[0, 30], [255, 255]]])
    sample.set_field(PixelData(data=labels), 'gt_sem_seg')
    fail(dict(data_samples=[sample]))
    assert 'a.jpg, a.png: 3 values, the largest 30' in capsys.readouterr().err


@pytest.mark.parametrize(
    'batch', [None, [1, 2], dict(data_samples=torch.zeros(2)), dict(inputs=1)]
)
def test_other_batches(batch, capsys):
    fail(batch)
    fail(dict(data_samples=[SimpleNamespace(other=1)]))
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('caught', ['', "f'failed to load image: {filename}'\n"])
def test_an_image_that_does_not_load(capsys, caught):
    with pytest.raises(AssertionError), naming_failed_batch(Runner()):
        raise AssertionError(f'{caught}failed to load image: my images/a.jpg')
    assert capsys.readouterr().err.startswith(
        "error: 'my images/a.jpg' is damaged, or no image. Copy or download it again."
    )


def test_errors_between_iterations(capsys):
    """The next batch failed to load: it is not of these images."""
    sample = BaseDataElement(metainfo=dict(img_path='a.jpg'))
    fail(dict(data_samples=[sample]), end=True)
    assert capsys.readouterr().err == ''
