"""Every layer of the package, with an input that it takes."""

import inspect

import pytest
import torch

from dropblock_mm.layers import LAYERS

NAMES = [n for n, c in LAYERS.items() if c.__module__.startswith('dropblock_mm.')]
SIZES = {'DropBlock1d': (40,), 'DropBlock3d': (7, 8, 9)}


@pytest.fixture(params=sorted(NAMES))
def layer_class(request):
    return LAYERS[request.param]


@pytest.fixture
def build(layer_class):
    """Build the layer with what it requires."""
    has_block = 'block_size' in inspect.signature(layer_class).parameters
    required = {'block_size': 3} if has_block else {}
    return lambda keep_prob=0.7, **options: layer_class(
        keep_prob=keep_prob, **required, **options
    )


@pytest.fixture
def x(layer_class):
    """Enough samples and channels that something is dropped and something kept."""
    torch.manual_seed(0)
    return torch.randn(16, 8, *SIZES.get(layer_class.__name__, (9, 10)))
