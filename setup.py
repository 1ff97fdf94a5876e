"""What setup.cfg cannot say: found packages, configs/ as one more, and C code."""

import sys
from glob import glob

from setuptools import Extension, find_packages, setup

UNIX = sys.platform != 'win32'

setup(
    packages=[*find_packages(include=['dropblock_mm*']), 'dropblock_mm.configs'],
    ext_modules=[
        Extension(
            'dropblock_mm.ops.cpu._native',
            ['dropblock_mm/ops/cpu/native.c'],
            depends=sorted(glob('dropblock_mm/ops/cpu/*.h')),
            extra_compile_args=[]
            if sys.platform == 'win32'
            else ['-O3', '-fopenmp-simd'],
            libraries=[] if sys.platform == 'win32' else ['m'],
            py_limited_api=True,
            # Without a compiler the same is done with tensor operations.
            optional=True,
        )
    ],
)
