import os
from pathlib import Path

import pytest

from dropblock_mm import config_files
from dropblock_mm.config_files import config_path, fragment_names, resolve_config


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Stand-ins for the shipped configs, next to the package as in a clone."""
    fragments = tmp_path / 'configs' / '_base_' / 'dropblock'
    fragments.mkdir(parents=True)
    for name in ('resnet_c4c5', 'resnet_c5'):
        (fragments / f'{name}.py').write_text('x = 1\n')
    monkeypatch.setattr(config_files, '_configs_dir', lambda _: tmp_path / 'configs')
    return fragments


def test_config_path_is_absolute_and_exists(shipped):
    path = config_path('_base_/dropblock/resnet_c4c5.py')
    assert path == str(shipped / 'resnet_c4c5.py')


def test_config_path_lists_close_matches(shipped):
    with pytest.raises(FileNotFoundError, match=r"mean '_base_/.*/resnet_c4c5\.py'"):
        config_path('_base_/dropblock/resnet_c4_c5.py')


@pytest.mark.parametrize('name', ['../outside.py', '_base_', ''])
def test_config_path_stays_below_configs(shipped, name):
    (shipped.parents[2] / 'outside.py').touch()
    with pytest.raises(FileNotFoundError):
        config_path(name)


def test_fragment_names(shipped):
    assert fragment_names() == ['resnet_c4c5', 'resnet_c5']


def test_the_shipped_fragments_are_found():
    names = fragment_names()
    assert 'resnet_c4c5' in names
    for name in names:
        assert Path(config_path(f'_base_/dropblock/{name}.py')).is_file()


def test_a_path_that_exists_stays_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('my.py').touch()
    assert resolve_config('my.py') == 'my.py'


@pytest.mark.parametrize(
    'name',
    [
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        'mmseg::sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py',
    ],
)
def test_a_librarys_config_is_found_by_import_name(name):
    pytest.importorskip(name.partition('::')[0])
    path = resolve_config(name)
    assert os.path.isabs(path)
    assert path.endswith(name.partition('::')[2])


def test_own_configs_have_the_same_notation(shipped):
    typed = 'dropblock_mm::_base_/dropblock/resnet_c5.py'
    assert resolve_config(typed) == str(shipped / 'resnet_c5.py')


def test_a_forgotten_folder_is_suggested():
    pytest.importorskip('mmdet')
    with pytest.raises(FileNotFoundError) as error:
        resolve_config('mmdet::retinanet_r50_fpn_1x_coco.py')
    assert "'retinanet/retinanet_r50_fpn_1x_coco.py'" in str(error.value)


def test_a_missing_path_names_what_was_typed_and_what_is_expected(shipped):
    with pytest.raises(FileNotFoundError) as error:
        resolve_config('configs/_base_/dropblock/resnet_c6.py')
    for part in ("'configs/_base_", 'package::path', "'dropblock_mm::_base_"):
        assert part in str(error.value)


@pytest.mark.parametrize('package', ['no_such_package', 'not a name', '', 'sys'])
def test_an_unknown_package_is_named(package):
    with pytest.raises(ModuleNotFoundError, match='is not an installed package'):
        resolve_config(f'{package}::a.py')


def test_a_package_without_configs_says_where_it_looked():
    with pytest.raises(FileNotFoundError, match='ships no configs'):
        resolve_config('pytest::a.py')


@pytest.mark.parametrize('typed', ['mmdt', 'mmdetection', 'mmdet3', 'MMDet'])
def test_near_packages_are_named(typed):
    with pytest.raises(ModuleNotFoundError, match=r"Did you mean 'mmdet::'"):
        resolve_config(f'{typed}::retinanet/retinanet_r50_fpn_1x_coco.py')


def test_this_package_is_near_in_a_clone_too():
    with pytest.raises(ModuleNotFoundError, match=r"Did you mean 'dropblock_mm::'"):
        resolve_config('dropblok_mm::a.py')


@pytest.mark.parametrize(
    'typed',
    [
        'mmdet:retinanet/retinanet_r50_fpn_1x_coco.py',
        'mmdet/retinanet/retinanet_r50_fpn_1x_coco.py',
        'retinanet_r50_fpn_1x_coco.py',
        'retinanet/retinanet_r50_fpn_1x_coco',
    ],
)
def test_a_forgotten_package_is_suggested(typed):
    pytest.importorskip('mmdet')
    meant = "Did you mean 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'"
    with pytest.raises(FileNotFoundError, match=meant):
        resolve_config(typed)


def test_no_package_is_near():
    with pytest.raises(ModuleNotFoundError) as refused:
        resolve_config('qqqqq::a.py')
    assert 'Did you mean' not in str(refused.value)
