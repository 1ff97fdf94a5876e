"""The one thing setup.cfg cannot say: found packages, and configs/ as one more."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=['dropblock_mm*']), 'dropblock_mm.configs'])
