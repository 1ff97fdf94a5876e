"""How much disk the set-up needs, and on which."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tools.dev.environment.machine import SetUpError

# In GB, by what torch is built for: the environment as set-up leaves it, and the wheels
# that it is made from. The first is du of an environment of the pins in requirements/,
# without bytecode (CPU: one with torch 2.13), the other the sum of the wheels' sizes.
ENVIRONMENT_GB = {'CPU': 2.5, 'CUDA': 6.6}
WHEELS_GB = {'CPU': 0.8, 'CUDA': 3.3}
DOWNLOAD_ELSEWHERE = 'have pip download elsewhere (TMPDIR=... PIP_CACHE_DIR=... make)'
SMALLER_BUILD = (
    'name a place that has the build for the CPU (PIP_EXTRA_INDEX_URL=... make)'
)


class Need(NamedTuple):
    """What comes onto a disk, and how to have it elsewhere."""

    place: Path
    gb: float
    what: str
    remedy: str


def check_disk(venv: Path, build: str, downloads: Sequence[Path] = ()) -> None:
    """Stop if what is to come does not fit the disks that it comes onto.

    Args:
        venv (Path): The environment, of which a part may be there.
        build (str): What torch is built for, 'CPU' or 'CUDA'.
        downloads (Sequence[Path]): Folders into each of which pip puts what it
            downloads; none if the wheels lie on this machine.
    """
    left = max(ENVIRONMENT_GB[build] - size_gb(venv), 0)
    environment = f'the environment with torch for {build}'
    needs = [Need(venv, left, environment, 'clone elsewhere')]
    for folder in downloads:
        what = f"pip's downloads in {folder}"
        needs.append(Need(folder, WHEELS_GB[build], what, DOWNLOAD_ELSEWHERE))
    disks: dict[int, list[Need]] = {}
    for need in needs:
        disks.setdefault(disk_of(need.place), []).append(need)
    for on_it in disks.values():
        refuse_small_disk(on_it, build)


def size_gb(folder: Path) -> float:
    """Of all the files in it; 0 where it is not there."""
    files = (path for path in folder.rglob('*') if not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e9


def disk_of(path: Path) -> int:
    """A number for the disk that a folder is on, or will be on."""
    return existing(path).stat().st_dev


def free_gb(path: Path) -> float:
    """What is free on that disk."""
    return shutil.disk_usage(existing(path)).free / 1e9


def existing(path: Path) -> Path:
    """The folder itself, or the next one around it that is there."""
    return next(p for p in (path, *path.parents) if p.exists())


def refuse_small_disk(needs: Sequence[Need], build: str) -> None:
    """Stop if the disk of all of these needs has too little free."""
    place = needs[0].place
    free, wanted = free_gb(place), sum(need.gb for need in needs)
    if free >= wanted:
        return
    parts = ', '.join(f'{need.gb:.1f} GB for {need.what}' for need in needs)
    remedies = ['Free some', *dict.fromkeys(need.remedy for need in needs)]
    remedies += [SMALLER_BUILD] if build == 'CUDA' else []
    raise SetUpError(
        f'{free:.1f} GB are free at {place}; expected at least {wanted:.1f} GB: '
        f'{parts}. {", or ".join(remedies)}.'
    )
