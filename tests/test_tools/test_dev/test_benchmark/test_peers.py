"""The others' DropBlocks, under one interface."""

import math

import pytest
import torch

from dropblock_mm import expected_keep_rate
from dropblock_mm.ops.reference import reference_drop_block


@pytest.mark.parametrize(('block_size', 'size'), [(1, 9), (3, 12), (7, 20), (9, 9)])
def test_dense_algorithm_is_the_oracle_with_its_seeds(part, block_size, size):
    x, grid = torch.randn(2, 3, size, size + 4), (size, size + 4)
    rows, columns = (length - block_size + 1 for length in grid)
    gamma = 0.3 * math.prod(grid) / (block_size**2 * rows * columns)
    torch.manual_seed(1)
    out = part('peers').dense_drop_block(x, 0.3, block_size)
    torch.manual_seed(1)
    seeds = torch.empty(2, 3, rows, columns).bernoulli_(gamma).bool()
    expected = reference_drop_block(x, seeds, block_size)
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=0)


def test_dense_algorithm_reaches_the_exact_rate(part):
    torch.manual_seed(0)
    ones = torch.ones(400, 1, 20, 20)
    kept = part('peers').dense_drop_block(ones, 0.2, 5) != 0
    rates = kept.double().mean(dim=(1, 2, 3))
    error = rates.std() / math.sqrt(len(rates))
    expected = expected_keep_rate(keep_prob=0.8, block_size=5, feature_size=(20, 20))
    assert abs(rates.mean() - expected) < 5 * error


def test_dense_algorithm_refuses_even_blocks(part):
    with pytest.raises(ValueError, match='block_size=4 is even'):
        part('peers').dense_drop_block(torch.ones(1, 1, 9, 9), 0.1, 4)


def test_dense_algorithm_is_torchvisions(part):
    try:
        from torchvision.ops import drop_block2d
    except (ImportError, RuntimeError) as error:
        pytest.skip(f'torchvision cannot be imported: {error}')
    x = torch.randn(2, 3, 20, 24)
    torch.manual_seed(3)
    out = part('peers').dense_drop_block(x, 0.2, 7)
    torch.manual_seed(3)
    assert torch.equal(out, drop_block2d(x, 0.2, 7))


def test_every_implementation_drops_and_takes_another_rate(part):
    peers = part('peers')
    ways = [peers.OURS, peers.OURS_SHARED, peers.OUR_FUNCTION, peers.DENSE]
    for way in ways + peers.installed_peers()[0]:
        torch.manual_seed(0)
        layer, x = way.build(0.8, 3).train(), torch.ones(8, 4, 16, 16)
        some = (layer(x) == 0).float().mean()
        assert 0.1 < some < 0.3, way.name
        peers.set_keep_prob(layer, 0.4)
        assert (layer(x) == 0).float().mean() > some + 0.1, way.name
        shared = (layer(x) == 0).float().std(dim=1).max() == 0
        assert shared == way.shared, way.name


def test_absent_and_broken_peers_are_skipped_with_a_line(part, monkeypatch):
    peers = part('peers')

    def absent():
        raise ModuleNotFoundError("No module named 'timm'", name='timm')

    def lacks_a_need():
        raise ModuleNotFoundError("No module named 'yaml'", name='yaml')

    def broken():
        raise RuntimeError('operator torchvision::nms does not exist\nand more')

    loaders = {'timm': absent, 'other': lacks_a_need, 'torchvision': broken}
    monkeypatch.setattr(peers, '_PEERS', loaders)
    assert peers.installed_peers() == (
        [],
        [
            'timm: not installed, skipped',
            'other: cannot be imported (ModuleNotFoundError: No module named '
            "'yaml'), skipped",
            'torchvision: cannot be imported (RuntimeError: operator '
            'torchvision::nms does not exist), skipped',
        ],
    )
