"""From VOCdevkit and SBD to the augmented split."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from scipy.io import savemat

from dropblock_mm.config_files import resolve_config
from dropblock_mm.datasets.layouts import voc_palette

WIDTH, HEIGHT = 8, 6
LISTS = 'VOCdevkit/VOC2012/ImageSets/Segmentation'


@pytest.fixture
def tool(load_tool):
    return load_tool('dataset_converters/voc_aug')


def labels(number):
    """A label map of a class and the background."""
    found = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    found[1:3] = number
    return found


@pytest.fixture
def made(tmp_path):
    """VOC with train a, b and val c, d; SBD with b, d and, VOC's neither, e, f, g."""
    voc, sbd = tmp_path / 'VOCdevkit/VOC2012', tmp_path / 'SBD/dataset'
    for folder in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (voc / folder).mkdir(parents=True)
    (sbd / 'cls').mkdir(parents=True)
    for name in 'abcdefg':
        Image.new('RGB', (WIDTH, HEIGHT)).save(voc / f'JPEGImages/{name}.jpg')
    for name in 'abcd':
        Image.fromarray(labels(1)).save(voc / f'SegmentationClass/{name}.png')
    for number, name in enumerate('bdefg', 2):
        content = {'GTcls': {'Segmentation': labels(number)}}
        savemat(sbd / f'cls/{name}.mat', content)
    (tmp_path / LISTS / 'train.txt').write_text('a\nb\n')
    (tmp_path / LISTS / 'val.txt').write_text('c\nd\n')
    (sbd / 'train.txt').write_text('b\ne\nf\n')
    (sbd / 'val.txt').write_text('d\ng\n')
    return tmp_path


def run(tool, root, *options):
    argv = [str(root / 'VOCdevkit'), str(root / 'SBD'), '--workers', '0', *options]
    return tool.main(argv)


def snapshot(folder):
    files = (path for path in folder.rglob('*') if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def read(root, name):
    return (root / LISTS / f'{name}.txt').read_text().split()


def test_lists_and_label_maps(tool, made, capsys):
    assert run(tool, made) == 0
    assert (read(made, 'aug'), read(made, 'trainaug')) == (list('efg'), list('abefg'))
    said = capsys.readouterr().out
    assert '2 train, 3 aug, 2 val, 5 trainaug' in said
    assert 'warning: 5 images to train on (trainaug) and 2 to evaluate on' in said
    folder = made / 'VOCdevkit/VOC2012/SegmentationClassAug'
    assert sorted(path.stem for path in folder.iterdir()) == list('abefg')
    for name, number in dict(a=1, b=1, e=4, f=5, g=6).items():
        with Image.open(folder / f'{name}.png') as image:
            assert (np.asarray(image) == labels(number)).all()
    with Image.open(folder / 'e.png') as image:
        assert image.getpalette('RGB') == voc_palette().ravel().tolist()


def test_a_second_run_changes_nothing(tool, made):
    run(tool, made)
    before = snapshot(made / 'VOCdevkit/VOC2012/SegmentationClassAug')
    run(tool, made)
    assert snapshot(made / 'VOCdevkit/VOC2012/SegmentationClassAug') == before


def test_an_interrupted_run_goes_on(tool, made, monkeypatch):
    """Lists come last; label maps that are whole stay, a cut one is made again."""
    convert, done = tool.convert, []

    def stop_at_f(name, **folders):
        if name == 'f':
            raise KeyboardInterrupt
        done.append(name)
        return convert(name, **folders)

    monkeypatch.setattr(tool, 'convert', stop_at_f)
    with pytest.raises(KeyboardInterrupt):
        run(tool, made)
    folder = made / 'VOCdevkit/VOC2012/SegmentationClassAug'
    assert sorted(path.stem for path in folder.iterdir()) == done == list('abe')
    assert not (made / LISTS / 'aug.txt').exists()

    whole = (folder / 'e.png').read_bytes()
    (folder / 'e.png').write_bytes(whole[:60])
    (folder / '.g.png.123.part').write_bytes(whole[:60])
    kept = (folder / 'a.png').stat().st_mtime_ns
    monkeypatch.setattr(tool, 'convert', convert)
    assert run(tool, made) == 0
    assert (folder / 'e.png').read_bytes() == whole
    assert (folder / 'a.png').stat().st_mtime_ns == kept
    assert sorted(path.name for path in folder.iterdir()) == [
        f'{name}.png' for name in 'abefg'
    ]
    assert read(made, 'trainaug') == list('abefg')


def test_out_leaves_the_devkit_alone(tool, made):
    before = snapshot(made / 'VOCdevkit')
    out = made / 'elsewhere'
    assert run(tool, made, '-o', str(out)) == 0
    assert run(tool, made, '-o', str(out)) == 0
    assert snapshot(made / 'VOCdevkit') == before
    assert (out / 'JPEGImages/a.jpg').is_file()
    assert (out / 'ImageSets/Segmentation/trainaug.txt').read_text().split() == list(
        'abefg'
    )


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (None, 'e.mat'),
        (labels(30), 'are no labels of VOC'),
        (labels(1)[1:], 'but the image has (8, 6)'),
        ('cut', 'e: '),
    ],
)
def test_bad_annotations_are_named(tool, made, capsys, content, said):
    path = made / 'SBD/dataset/cls/e.mat'
    whole = path.read_bytes()
    path.unlink()
    if isinstance(content, str):
        path.write_bytes(whole[:200])
    elif content is not None:
        savemat(path, {'GTcls': {'Segmentation': content}})
    assert run(tool, made) == 1
    printed = capsys.readouterr().err
    assert '1 of 5 label maps could not be made' in printed
    assert said in printed
    assert not (made / LISTS / 'trainaug.txt').exists()


def test_missing_lists_are_named(tool, made, capsys):
    (made / 'SBD/dataset/val.txt').unlink()
    assert run(tool, made) == 1
    assert 'dataset/val.txt. Give the folder that holds VOC2012/' in (
        capsys.readouterr().err
    )


def test_complete_sets_are_recognised(tool):
    """1,464 + 1,449 of VOC; SBD has 11,355, 2,237 of them VOC's as well."""
    names = [str(number) for number in range(1_464 + 1_449 + 9_118)]
    train, val = names[:1_464], names[1_464:2_913]
    split = tool.split_names(train, val, names[1_464 - 1_000 :])
    assert (len(split.aug), len(split.trainaug)) == (9_118, 10_582)
    assert not set(split.trainaug) & set(val)
    assert tool.counts_told(split).startswith('All 10,582 + 1,449')
    split = tool.split_names(train, val, names[1_464:-1])
    assert tool.counts_told(split).startswith('warning: 10,581 images to train on')


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


def test_label_maps_are_those_of_mmsegs_converter(sample, shared_data, tmp_path):
    """Which cannot finish on a subset; its conversion of one file can be used."""
    import mmseg

    script = Path(mmseg.__file__).parent / '.mim/tools/dataset_converters/voc_aug.py'
    if not script.is_file():
        pytest.skip(f'mmseg was installed without its tools: no {script}')
    spec = importlib.util.spec_from_file_location('mmseg_voc_aug', script)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    names = (sample / 'ImageSets/Segmentation/aug.txt').read_text().split()
    source = shared_data / 'voc2012_mini/sbd/dataset/cls'
    for name in names:
        theirs.convert_mat(f'{name}.mat', str(source), str(tmp_path))
        ours = sample / f'SegmentationClassAug/{name}.png'
        with (
            Image.open(tmp_path / f'{name}.png') as expected,
            Image.open(ours) as found,
        ):
            assert (np.asarray(found) == np.asarray(expected)).all()
