"""mmcv's own setup.py with fewer and lighter compilations of the same code.

``mmcv_source.py`` copies this file over the setup.py of mmcv's unpacked source and
keeps the original beside it, which is what runs. Most of mmcv's C++ files are a few
lines below torch's headers, and a compiler spends nearly all of its time on these
headers: so many such files are included into one, and no debug information is made.
The optimisation is that of the original, and the code too, but for the C++ standard:
mmcv names C++17 where torch 2.14 asks for C++20, so torch chooses.
"""

import os
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

ORIGINAL = 'setup_of_mmcv.py'
# 'plain' leaves mmcv's files and debug information alone, for comparisons.
WAY = 'DROPBLOCK_MM_MMCV_BUILD'
DISPATCHERS, KERNELS = 'mmcv/ops/csrc/pytorch', 'mmcv/ops/csrc/pytorch/cpu'
# Each has templates of its own by the names that the others use, too.
ALONE = ('bezier_align', 'roi_align', 'roi_align_rotated', 'rotated_feature_align')
# Ends with macros called min and max.
LAST = 'psamask'
# Takes a compiler as long as all other dispatchers together.
BINDINGS = 'pybind'


def joined(sources: list[str], folder: Path) -> list[str]:
    """Replace small sources by a few files in ``folder`` that include them.

    Args:
        sources (list[str]): What mmcv would compile, relative to its source.
        folder (Path): Where to write. A file that is right already is not touched,
            so that ninja keeps what it compiled.

    Returns:
        list[str]: What to compile, the longest first.
    """
    names = sorted(os.path.normpath(source) for source in sources)
    dispatchers = [name for name in names if is_in(name, DISPATCHERS)]
    kernels = [name for name in names if is_in(name, KERNELS)]
    groups = {
        'bindings': [name for name in dispatchers if Path(name).stem == BINDINGS],
        'dispatchers': [name for name in dispatchers if Path(name).stem != BINDINGS],
        'kernels': [name for name in kernels if Path(name).stem not in ALONE],
    }
    groups['kernels'].sort(key=lambda name: Path(name).stem == LAST)
    whole = {name for group in groups.values() for name in group}
    written = [write_group(folder / f'{k}.cpp', v) for k, v in groups.items() if v]
    return written + [name for name in names if name not in whole]


def is_in(name: str, folder: str) -> bool:
    """Whether a C++ file is in the folder itself."""
    return name.endswith('.cpp') and str(Path(name).parent) == folder


def write_group(file: Path, names: list[str]) -> str:
    """Write the file that includes the others, if it is not there already."""
    back = os.path.relpath('.', file.parent)
    text = ''.join(f'#include "{back}/{name}"\n' for name in names)
    file.parent.mkdir(exist_ok=True)
    if not file.is_file() or file.read_text() != text:
        file.write_text(text)
    return str(file)


def lighter(flags: dict[str, list[str]], way: str) -> dict[str, list[str]]:
    """Leave the C++ standard to torch, and leave debug information out.

    Args:
        flags (dict[str, list[str]]): Of mmcv, for 'cxx' and maybe 'nvcc'.
        way (str): 'plain' or 'joined'.
    """
    own = {
        compiler: [flag for flag in given if not flag.startswith('-std=')]
        for compiler, given in flags.items()
    }
    return own if way == 'plain' else {**own, 'cxx': [*own['cxx'], '-g0']}


def quicker(extension: Callable, way: str) -> Callable:
    """One of torch's extension classes that gets less to compile."""

    def make(name: str, sources: list[str], **settings: Any) -> object:
        settings['extra_compile_args'] = lighter(settings['extra_compile_args'], way)
        if way != 'plain':
            sources = joined(sources, Path('joined'))
        return extension(name=name, sources=sources, **settings)

    return make


if __name__ == '__main__':
    from torch.utils import cpp_extension

    for kind in ('CppExtension', 'CUDAExtension'):
        original = getattr(cpp_extension, kind)
        setattr(cpp_extension, kind, quicker(original, os.environ.get(WAY, 'joined')))
    runpy.run_path(ORIGINAL, run_name='__main__')
