"""Where configs are: the ones shipped here, and any OpenMMLab library's.

MMEngine understands ``'mmdet::a/b.py'`` only for a fixed list of packages, and
looks packages up by distribution name, which the ``onedl-`` forks changed. A
``_base_`` is evaluated as an expression, so a config of yours may say::

    _base_ = [
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        __import__('dropblock_mm').config_path('_base_/dropblock/resnet_c4c5.py'),
    ]
"""

import difflib
import importlib.util
from pathlib import Path

from dropblock_mm.errors import MissingPackageError, RefusedFileError

FRAGMENTS = '_base_/dropblock'
LIBRARIES = ('mmdet', 'mmseg', 'mmpretrain')  # whose configs are looked through


def config_path(name: str) -> str:
    """Find a config shipped with this package.

    Args:
        name (str): Path below ``configs/``, e.g.
            ``'_base_/dropblock/resnet_c4c5.py'``.

    Returns:
        str: Its absolute path, in a clone and in an installed wheel alike.

    Raises:
        FileNotFoundError: No such config; the message lists close matches.
    """
    return _find('dropblock_mm', name, typed=name)


def fragment_names() -> list[str]:
    """List the DropBlock fragments that ``--dropblock`` knows by name.

    Returns:
        list[str]: Sorted file stems of ``configs/_base_/dropblock/*.py``.
    """
    folder = _configs_dir('dropblock_mm') / FRAGMENTS
    return sorted(path.stem for path in folder.glob('*.py'))


def config_names_of(package: str) -> list[str]:
    """List the configs that come with a package, below its folder of them.

    Returns:
        list[str]: Sorted; none if it is not installed, or has none.
    """
    root = _root(package)
    has_configs = root is not None and any(map(Path.is_dir, _places(root)))
    return _names(package) if has_configs else []


def resolve_config(name: str) -> str:
    """Turn what a user typed for a config into a file that exists.

    Args:
        name (str): A path, or ``'package::path below its configs'``, e.g.
            ``'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'``.
            The package is found by its import name, so that the name means the
            same with every distribution that provides it.

    Returns:
        str: The path as typed, or the absolute path of the package's config.

    Raises:
        FileNotFoundError: No such file or config.
        ModuleNotFoundError: The package is not installed.
    """
    package, separator, below = name.partition('::')
    if separator:
        return _find(package, below, typed=name)
    path = Path(name).expanduser()
    if path.is_file():
        return str(path)
    raise RefusedFileError(
        f'config {name!r} is not a file (looked from {str(Path.cwd())!r}); expected '
        "the path of a .py config, or 'package::path' such as "
        "'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'."
        f'{_hint(name, _installed_configs(name))}'
    )


def _installed_configs(typed: str) -> list[str]:
    """Every config that could be meant, as 'package::path'.

    Of a library that what was typed begins with, as in 'mmdet:retinanet/a.py', or of
    this package and those that are installed.
    """
    installed = [p for p in LIBRARIES if _root(p) is not None]
    begun = [p for p in installed if typed.startswith((f'{p}:', f'{p}/'))]
    packages = begun or ['dropblock_mm', *installed]
    return [f'{package}::{known}' for package in packages for known in _names(package)]


def _find(package: str, below: str, typed: str) -> str:
    """Look ``below`` up in the configs of ``package``, or say what was near."""
    folder = _configs_dir(package).resolve()
    path = (folder / below).resolve()
    if path.is_file() and path.is_relative_to(folder):
        return str(path)
    raise RefusedFileError(
        f'config {typed!r}: {package} has no config {below!r}; expected the path of '
        f'a file below {str(folder)!r}.{_hint(below, _names(package))}'
    )


def _configs_dir(package: str) -> Path:
    """The folder of a package's configs: installed with it, or in its clone."""
    root = _root(package)
    if root is None:
        raise MissingPackageError(
            f'{package!r} is not an installed package; expected the import name '
            "before '::' to be one such as mmdet, mmseg or dropblock_mm. "
            f'Install it, or correct the name.{_packages_like(package)}'
        )
    found = next(filter(Path.is_dir, _places(root)), None)
    if found is None:
        places = [str(place) for place in _places(root)]
        raise RefusedFileError(
            f'{package} ships no configs: none of {places} exists. Reinstall it, or '
            'give the path of a config file.'
        )
    return found


def _root(package: str) -> Path | None:
    """The folder of a package, if it is installed."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    folders = spec.submodule_search_locations if spec else None
    return Path(next(iter(folders))) if folders else None


def _places(root: Path) -> list[Path]:
    """Where a package has its configs: what OpenMMLab's wheels do, and its clones."""
    return [root / '.mim/configs', root / 'configs', root.parent / 'configs']


def _packages_like(name: str) -> str:
    """Installed packages that have configs and a name like this one, as a sentence."""
    # Imported here: it takes time, and this is an error.
    from importlib.metadata import packages_distributions

    installed = dict.fromkeys(['dropblock_mm', *packages_distributions()])
    by_case = {other.lower(): other for other in installed}
    near = [
        by_case[known]
        for known in difflib.get_close_matches(name.lower(), by_case, n=9)
    ]
    # A project is often called by a longer name: mmdetection is mmdet.
    near += [other for other in installed if len(other) > 3 and name.startswith(other)]
    with_configs = [
        f'{other}::'
        for other in dict.fromkeys(near)
        if other == 'dropblock_mm'
        or ((root := _root(other)) and any(map(Path.is_dir, _places(root)[:2])))
    ]
    named = ' or '.join(map(repr, with_configs[:3]))
    return f' Did you mean {named}?' if named else ''


def _names(package: str) -> list[str]:
    folder = _configs_dir(package)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*.py'))


def _hint(wanted: str, known: list[str]) -> str:
    """Close matches as a sentence; file names first: folders are often left out."""
    # The first of a name counts: this package's own come first.
    by_name = {Path(name).stem: name for name in reversed(known)}
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.7)
    stems = difflib.get_close_matches(Path(wanted).stem, by_name, n=3, cutoff=0.7)
    near = list(dict.fromkeys([by_name[stem] for stem in stems] + near))[:3]
    return f' Did you mean {" or ".join(map(repr, near))}?' if near else ''
