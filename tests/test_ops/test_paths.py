"""Which path drops the blocks of a tensor, and the one that is slow everywhere."""

import warnings

import pytest
import torch

from dropblock_mm import DropBlock2d, drop_block_2d, drop_block_3d
from dropblock_mm.ops import dense, drop_block_with_count, paths, traced
from dropblock_mm.ops.cpu import sparse
from dropblock_mm.ops.gpu import fused

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


class OnDevice:
    """What the choice asks of a tensor that no machine without a GPU can make."""

    def __init__(self, device, dims=2):
        self.device = torch.device(device)
        self.dim = lambda: 2 + dims


@pytest.mark.parametrize(
    ('device', 'dims', 'plain', 'draws', 'path'),
    [
        ('cpu', 2, True, True, sparse.drop),
        ('cpu', 3, True, True, sparse.drop),
        ('cpu', 1, True, False, sparse.drop),
        ('cpu', 2, False, True, traced.drop),
        ('cpu', 3, False, True, traced.drop),
        ('cpu', 2, False, False, dense.drop),
        ('meta', 3, False, True, traced.drop),
        ('cuda', 1, True, False, fused.drop),
        ('cuda', 2, True, True, fused.drop),
        ('cuda', 2, False, True, traced.drop),
        ('cuda', 2, False, False, dense.drop),
        ('cuda', 3, True, True, dense.drop),
        ('cuda', 3, False, True, dense.drop),
        ('mps', 2, True, True, dense.drop),
    ],
)
@pytest.mark.filterwarnings('ignore:DropBlock takes its slow path')
def test_a_path_for_every_tensor(monkeypatch, device, dims, plain, draws, path):
    monkeypatch.setattr(fused, 'is_available', lambda device: device.type == 'cuda')
    monkeypatch.setattr(fused, 'why_not', lambda device: 'it is another device')
    paths._warn_once.cache_clear()
    assert paths._path_of(OnDevice(device, dims), plain, draws) is path


def test_volumes_on_a_gpu_say_that_they_are_slow(monkeypatch):
    monkeypatch.setattr(fused, 'is_available', lambda device: True)
    monkeypatch.setattr(fused, 'why_not', lambda device: '')
    paths._warn_once.cache_clear()
    with pytest.warns(UserWarning, match='no kernel is for volumes'):
        paths._path_of(OnDevice('cuda', 3), True, True)


@pytest.fixture
def densely(monkeypatch):
    """Take the path of devices without a fast one, as if it were the first call."""
    paths._warn_once.cache_clear()
    monkeypatch.setattr(paths, 'is_plain_on_host', lambda x: False)
    monkeypatch.setattr(paths, '_fast_path_of', lambda *_: None)
    yield
    paths._warn_once.cache_clear()


def test_the_slow_path_says_once_that_it_is_taken_and_why(densely):
    layer = DropBlock2d(keep_prob=0.5, block_size=3)
    x = torch.ones(2, 3, 12, 12)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        drop_block_2d(x, keep_prob=0.5, block_size=3)
        layer(x)
    assert [warning.filename for warning in said] == [__file__]
    assert "slow path on 'cpu' devices" in str(said[0].message)
    assert str(said[0].message).endswith(': the fast path is for the CPU and for CUDA.')


def test_the_slow_path_compiles_to_one_graph(densely):
    layer = DropBlock2d(keep_prob=0.5, block_size=3)
    x = torch.ones(2, 3, 12, 12, requires_grad=True)
    compiled = torch.compile(layer, backend='aot_eager', fullgraph=True)
    with pytest.warns(UserWarning, match='slow path'):
        out = compiled(x)
    out.sum().backward()
    assert torch.equal(out == 0, x.grad == 0)


@pytest.mark.filterwarnings('ignore:DropBlock takes its slow path')
@pytest.mark.parametrize('shared_mask', [False, True])
def test_the_slow_path_drops_and_counts_like_the_others(
    densely, memory_formats, shared_mask
):
    """Over dtypes and layouts, and with a rate that lives elsewhere than x."""
    values = torch.ones(2, 8, 20, 20)
    for dtype in DTYPES:
        for name, x in memory_formats(values.to(dtype)).items():
            x = x.detach().requires_grad_()
            out, kept = drop_block_with_count(
                x, keep_prob=torch.tensor(0.5), block_size=5, shared_mask=shared_mask
            )
            out.sum().backward()
            dropped = out == 0
            assert torch.equal(x.grad == 0, dropped), name
            assert kept.item() == (~dropped).sum().item() < x.numel()
            assert (dropped == dropped[:, :1]).all() == shared_mask
            assert out.dtype == dtype
            assert out.stride() == x.sin().stride(), name  # as of any operation


@pytest.mark.filterwarnings('ignore:DropBlock takes its slow path')
def test_the_slow_path_drops_volumes(densely):
    x = torch.ones(2, 8, 6, 7, 9).contiguous(memory_format=torch.channels_last_3d)
    out = drop_block_3d(x, keep_prob=0.5, block_size=3)
    assert 0 < (out == 0).sum() < x.numel()
    assert out.stride() == x.stride()
