"""What setup.cfg cannot say: found packages, configs/ as one more, and C code."""

import sys

from setuptools import Extension, find_packages, setup

setup(
    packages=[*find_packages(include=['dropblock_mm*']), 'dropblock_mm.configs'],
    ext_modules=[
        Extension(
            'dropblock_mm.ops.cpu._native',
            ['dropblock_mm/ops/cpu/native.c'],
            libraries=[] if sys.platform == 'win32' else ['m'],
            py_limited_api=True,
            # Without a compiler the same is done with tensor operations.
            optional=True,
        )
    ],
)
