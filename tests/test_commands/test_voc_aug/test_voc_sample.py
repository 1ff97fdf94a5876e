"""The conversion of a sample of VOC 2012 and SBD, which trains as the whole does."""

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from dropblock_mm.config_files import resolve_config


@pytest.fixture
def sample(tool, shared_data, tmp_path, capsys):
    """The converted sample of VOC 2012, which trains as the complete one does."""
    root, out = shared_data / 'voc2012_mini', tmp_path / 'VOC2012'
    argv = [str(root / 'VOCdevkit'), str(root / 'sbd'), '-o', str(out)]
    assert tool.main([*argv, '--workers', '0']) == 0
    assert '33 train, 32 aug, 69 val, 65 trainaug' in capsys.readouterr().out
    return out


def test_sample_has_no_image_of_val(sample):
    names = {
        name: (sample / f'ImageSets/Segmentation/{name}.txt').read_text().split()
        for name in ('train', 'aug', 'val', 'trainaug')
    }
    counts = {name: len(set(members)) for name, members in names.items()}
    assert counts == dict(train=33, aug=32, val=69, trainaug=65)
    assert not set(names['trainaug']) & set(names['val'])


def test_sample_loads_with_the_stock_config(sample):
    """mmseg's pascal_voc12_aug.py; and both lists with the one folder."""
    from mmseg.datasets import PascalVOCDataset
    from mmseg.registry import DATASETS

    stock = resolve_config('mmseg::_base_/datasets/pascal_voc12_aug.py')
    config = Config.fromfile(stock).train_dataloader.dataset
    for part in config.datasets:
        part.data_root = str(sample)
    init_default_scope('mmseg')
    both = DATASETS.build(config)
    assert [type(part) for part in both.datasets] == [PascalVOCDataset] * 2
    assert len(both) == 65
    for index in (0, 64):
        item = both[index]
        assert item['inputs'].shape == (3, 512, 512)
        labels = item['data_samples'].gt_sem_seg.data
        assert set(labels.unique().tolist()) <= {*range(21), 255}
    single = PascalVOCDataset(
        ann_file='ImageSets/Segmentation/trainaug.txt',
        data_root=str(sample),
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
    )
    maps = [Path(single.get_data_info(i)['seg_map_path']) for i in range(len(single))]
    assert len(maps) == 65
    assert all(path.is_file() for path in maps)


@pytest.fixture
def theirs():
    """mmseg's converter, which asserts 10,582 images, made to expect the sample's."""
    import mmseg

    script = Path(mmseg.__file__).parent / '.mim/tools/dataset_converters/voc_aug.py'
    if not script.is_file():
        pytest.skip(f'mmseg was installed without its tools: no {script}')
    spec = importlib.util.spec_from_file_location('mmseg_voc_aug', script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.AUG_LEN == 10_582
    module.AUG_LEN = 65
    # Its pool needs a module that can be imported.
    module.track_parallel_progress = lambda work, names, nproc: [*map(work, names)]
    return module


def test_lists_and_label_maps_are_those_of_mmsegs_converter(
    sample, theirs, shared_data, tmp_path, monkeypatch
):
    """So the lists of the complete sets give the 10,582 images that it asserts."""
    lists = tmp_path / 'VOCdevkit/VOC2012/ImageSets/Segmentation'
    lists.mkdir(parents=True)
    for name in ('train', 'val'):
        shutil.copy(sample / f'ImageSets/Segmentation/{name}.txt', lists)
    folders = [tmp_path / 'VOCdevkit', shared_data / 'voc2012_mini/sbd']
    argv = ['voc_aug.py', *map(str, folders), '-o', str(tmp_path / 'theirs')]
    monkeypatch.setattr(sys, 'argv', argv)
    theirs.main()
    for name in ('aug', 'trainaug'):
        ours = (sample / f'ImageSets/Segmentation/{name}.txt').read_text().split()
        assert ours == sorted((lists / f'{name}.txt').read_text().split())
    for name in (lists / 'aug.txt').read_text().split():
        with (
            Image.open(tmp_path / f'theirs/{name}.png') as expected,
            Image.open(sample / f'SegmentationClassAug/{name}.png') as found,
        ):
            assert (np.asarray(found) == np.asarray(expected)).all()
