"""What setup.cfg cannot say: packages, configs/ as one more, mim's index, C code."""

import sys
from glob import glob

from setuptools import Extension, find_packages, setup
from setuptools.command.build_py import build_py

UNIX = sys.platform != 'win32'
INDEX = 'model-index.yml'


class BuildWithIndex(build_py):
    """Puts the list of models beside configs/, where OpenMMLab's mim looks for it."""

    def run(self) -> None:
        """Copy it after the modules; an editable install has it in the clone."""
        super().run()
        if not self.editable_mode:
            self.copy_file(INDEX, self._index())

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return what is written, by which an uninstall knows it."""
        return [*super().get_outputs(include_bytecode), self._index()]

    def _index(self) -> str:
        return f'{self.build_lib}/dropblock_mm/{INDEX}'


setup(
    cmdclass={'build_py': BuildWithIndex},
    packages=[*find_packages(include=['dropblock_mm*']), 'dropblock_mm.configs'],
    ext_modules=[
        Extension(
            'dropblock_mm.ops.cpu._native',
            ['dropblock_mm/ops/cpu/native.c'],
            depends=sorted(glob('dropblock_mm/ops/cpu/*.h')),
            # What torch throws goes through the operators that it calls.
            extra_compile_args=['-O3', '-fopenmp-simd', '-fexceptions'] if UNIX else [],
            libraries=['m'] if UNIX else [],
            py_limited_api=True,
            # Without a compiler the same is done with tensor operations.
            optional=True,
        )
    ],
)
