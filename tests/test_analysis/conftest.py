"""Small models of the three libraries, as runs leave them."""

import pytest

from dropblock_mm.testing.small_models import write_images, write_model


@pytest.fixture(scope='session')
def small_images(tmp_path_factory):
    """A folder of images with annotations of every kind."""
    root = tmp_path_factory.mktemp('small') / 'data'
    root.mkdir()
    write_images(root)
    return root


@pytest.fixture(scope='session')
def small_run(tmp_path_factory, small_images):
    """A function that returns the folder of a run, made once."""
    root, made = tmp_path_factory.mktemp('small_runs'), {}

    def make(library, seed=0):
        pytest.importorskip(library)
        key = f'{library}_{seed}'
        if key not in made:
            made[key] = write_model(root / key, library, small_images, seed)
        return made[key]

    return make
