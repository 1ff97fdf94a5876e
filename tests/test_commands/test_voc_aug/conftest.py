"""A devkit and an SBD of seven tiny images, and the tool that joins them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

WIDTH, HEIGHT = 8, 6


@pytest.fixture
def tool(load_tool):
    return load_tool('voc_aug')


class Made:
    """VOC with train a, b and val c, d; SBD with b, d and, VOC's neither, e, f, g."""

    def __init__(self, root: Path, tool) -> None:
        self.root, self.tool = root, tool
        self.voc, self.sbd = root / 'VOCdevkit/VOC2012', root / 'SBD/dataset'
        self.lists = self.voc / 'ImageSets/Segmentation'
        for folder in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
            (self.voc / folder).mkdir(parents=True)
        (self.sbd / 'cls').mkdir(parents=True)
        for name in 'abcdefg':
            Image.new('RGB', (WIDTH, HEIGHT)).save(self.voc / f'JPEGImages/{name}.jpg')
        for name in 'abcd':
            path = self.voc / f'SegmentationClass/{name}.png'
            Image.fromarray(self.labels(1)).save(path)
        for number, name in enumerate('bdefg', 2):
            content = {'GTcls': {'Segmentation': self.labels(number)}}
            savemat(self.sbd / f'cls/{name}.mat', content)
        (self.lists / 'train.txt').write_text('a\nb\n')
        (self.lists / 'val.txt').write_text('c\nd\n')
        (self.sbd / 'train.txt').write_text('b\ne\nf\n')
        (self.sbd / 'val.txt').write_text('d\ng\n')

    @staticmethod
    def labels(number):
        """A label map of a class and the background."""
        found = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        found[1:3] = number
        return found

    def convert(self, *options):
        """Run the tool, and return its exit status."""
        folders = [str(self.root / name) for name in ('VOCdevkit', 'SBD')]
        return self.tool.main([*folders, '--workers', '0', *options])

    def read(self, name):
        return (self.lists / f'{name}.txt').read_text().split()


@pytest.fixture
def made(tmp_path, tool):
    return Made(tmp_path, tool)
