"""mmcv's source: fetched, checked, unpacked and given another setup.py."""

import shutil
from pathlib import Path

from tools.dev.environment import mmcv_setup
from tools.dev.environment.machine import SetUpError
from tools.dev.environment.steps import Steps

# Of the source distributions, since to unpack one is to run its setup.py.
SHA256 = {
    'mmcv==2.1.0': 'd387bcab66b467479b6660310e23746cfc79c6e57acf04094680adb499a5cd3f',
    'onedl-mmcv==2.3.6': (
        '8704978a3d492b15cc058742ac3165bd1bcc2dd20678da9ed39e0da3048e3045'
    ),
}


def prepared_source(steps: Steps, requirement: str, work: Path) -> Path:
    """Fetch and unpack mmcv's source once, with the setup.py of ``mmcv_setup``.

    Args:
        steps (Steps): Whose pip fetches.
        requirement (str): The pin, e.g. 'mmcv==2.1.0'.
        work (Path): Folder for all of it.

    Returns:
        Path: The source.
    """
    source = work / 'source'
    if not source.is_dir():
        unpacked(fetched(steps, requirement, work), work / 'unpacking').rename(source)
    original = source / mmcv_setup.ORIGINAL
    if not original.is_file():
        (source / 'setup.py').rename(original)
    shutil.copyfile(mmcv_setup.__file__, source / 'setup.py')
    return source


def fetched(steps: Steps, requirement: str, work: Path) -> Path:
    """Let pip fetch the source, and check it before any of it runs."""
    if requirement not in SHA256:
        raise SetUpError(
            f'no checksum of the source of {requirement} is known; expected one of '
            f'{sorted(SHA256)}. Add it to {Path(__file__).name}.'
        )
    pin = work / 'source.txt'
    pin.write_text(f'{requirement} --hash=sha256:{SHA256[requirement]}\n')
    flags = ['--no-deps', '--no-build-isolation', '--no-binary', ':all:']
    into = ['--dest', str(work), '--requirement', str(pin), '--require-hashes']
    steps.pip(f'{requirement} source', 'download', *flags, *into)
    return next(work.glob('*.tar.gz'))


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack over whatever an interrupted attempt left, and name the only folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.unpack_archive(archive, folder)
    return next(folder.iterdir())
