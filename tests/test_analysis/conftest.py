"""Small models of the three libraries, as runs leave them."""

import pytest

from dropblock_mm.testing.small_models import write_images


@pytest.fixture(scope='session')
def small_images(tmp_path_factory):
    """A folder of images with annotations of every kind."""
    root = tmp_path_factory.mktemp('small') / 'data'
    root.mkdir()
    write_images(root)
    return root


@pytest.fixture(scope='session')
def small_run(tmp_path_factory, small_images, runs_of):
    """A function that returns the folder of a run, made once."""
    return runs_of(tmp_path_factory.mktemp('small_runs'), small_images)
