"""From VOCdevkit and SBD to the augmented split."""

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.datasets import voc_aug_set
from dropblock_mm.datasets.layouts import voc_palette


def snapshot(folder):
    files = (path for path in folder.rglob('*') if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_lists_and_label_maps(made, capsys):
    assert made.convert() == 0
    assert (made.read('aug'), made.read('trainaug')) == (list('efg'), list('abefg'))
    said = capsys.readouterr().out
    assert '2 train, 3 aug, 2 val, 5 trainaug' in said
    assert 'warning: 5 images to train on (trainaug) and 2 to evaluate on' in said
    folder = made.voc / 'SegmentationClassAug'
    assert sorted(path.stem for path in folder.iterdir()) == list('abefg')
    for name, number in dict(a=1, b=1, e=4, f=5, g=6).items():
        with Image.open(folder / f'{name}.png') as image:
            assert (np.asarray(image) == made.labels(number)).all()
    with Image.open(folder / 'e.png') as image:
        assert image.getpalette('RGB') == voc_palette().ravel().tolist()


def test_a_second_run_changes_nothing(made):
    made.convert()
    before = snapshot(made.voc / 'SegmentationClassAug')
    made.convert()
    assert snapshot(made.voc / 'SegmentationClassAug') == before


def test_an_interrupted_run_goes_on(made, monkeypatch):
    """Lists come last; label maps that are whole stay, a cut one is made again."""
    convert, done = voc_aug_set.convert, []

    def stop_at_f(name, **folders):
        if name == 'f':
            raise KeyboardInterrupt
        done.append(name)
        return convert(name, **folders)

    monkeypatch.setattr(voc_aug_set, 'convert', stop_at_f)
    with pytest.raises(SystemExit, match=r'^130$'):
        made.convert()
    folder = made.voc / 'SegmentationClassAug'
    assert sorted(path.stem for path in folder.iterdir()) == done == list('abe')
    assert not (made.lists / 'aug.txt').exists()

    whole = (folder / 'e.png').read_bytes()
    (folder / 'e.png').write_bytes(whole[:60])
    (folder / '.g.png.123.part').write_bytes(whole[:60])
    kept = (folder / 'a.png').stat().st_mtime_ns
    monkeypatch.setattr(voc_aug_set, 'convert', convert)
    assert made.convert() == 0
    assert (folder / 'e.png').read_bytes() == whole
    assert (folder / 'a.png').stat().st_mtime_ns == kept
    assert sorted(path.name for path in folder.iterdir()) == [
        f'{name}.png' for name in 'abefg'
    ]
    assert made.read('trainaug') == list('abefg')


def test_out_leaves_the_devkit_alone(made):
    before = snapshot(made.root / 'VOCdevkit')
    out = made.root / 'elsewhere'
    assert made.convert('-o', str(out)) == 0
    assert made.convert('-o', str(out)) == 0
    assert snapshot(made.root / 'VOCdevkit') == before
    assert (out / 'JPEGImages/a.jpg').is_file()
    assert (out / 'ImageSets/Segmentation/trainaug.txt').read_text().split() == list(
        'abefg'
    )


def test_out_has_no_lists_of_an_earlier_conversion(made):
    made.convert()
    (made.sbd / 'cls/e.mat').unlink()
    out = made.root / 'elsewhere'
    assert made.convert('-o', str(out)) == 1
    lists = {path.name for path in (out / 'ImageSets/Segmentation').iterdir()}
    assert lists == {'train.txt', 'val.txt'}


def test_missing_lists_are_named(made, capsys):
    (made.sbd / 'val.txt').unlink()
    assert made.convert() == 1
    assert 'dataset/val.txt. Give the folder that holds VOC2012/' in (
        capsys.readouterr().err
    )


def test_lists_from_windows_are_read(made):
    for path in (made.lists / 'train.txt', made.sbd / 'val.txt'):
        lines = path.read_bytes().split(b'\n')
        path.write_bytes(b' \r\n'.join(lines) + b'\r\n')
    assert made.convert() == 0
    assert made.read('trainaug') == list('abefg')


def test_the_devkit_may_be_named_as_the_output(made):
    assert made.convert('-o', str(made.voc)) == 0
    assert made.read('trainaug') == list('abefg')


def test_what_cannot_be_written_is_named(made, capsys):
    (made.root / 'out').write_text('a file')
    assert made.convert('-o', str(made.root / 'out')) == 1
    said = capsys.readouterr().err
    assert f"error: [Errno 20] Not a directory: '{made.root}/out/" in said


def test_complete_sets_are_recognised(tool):
    """1,464 + 1,449 of VOC; SBD has 11,355, 2,237 of them VOC's as well."""
    names = [str(number) for number in range(1_464 + 1_449 + 9_118)]
    train, val = names[:1_464], names[1_464:2_913]
    split = voc_aug_set.split_names(train, val, names[1_464 - 1_000 :])
    assert (len(split.aug), len(split.trainaug)) == (9_118, 10_582)
    assert not set(split.trainaug) & set(val)
    assert tool.counts_told(split).startswith('All 10,582 + 1,449')
    split = voc_aug_set.split_names(train, val, names[1_464:-1])
    assert tool.counts_told(split).startswith('warning: 10,581 images to train on')
