"""The environment that is recorded."""

import pytest
import torch

from dropblock_mm.analysis import machine
from dropblock_mm.ops.gpu import fused


def test_the_machine_is_described():
    found = machine.describe('cpu', 'as it is')
    assert found['torch'] == torch.__version__
    assert found['threads'] == str(torch.get_num_threads())
    assert found['allocator'] == 'as it is'
    assert all(isinstance(value, str) for value in found.values())


@pytest.mark.parametrize(
    ('reason', 'path'), [('', "Triton's kernels"), ('no triton', 'dense: no triton')]
)
def test_the_path_on_a_gpu_is_named(monkeypatch, reason, path):
    monkeypatch.setattr(fused, 'why_not', lambda device: reason)
    assert machine.describe('cuda', '')['path on the GPU'] == path
    assert 'path on the GPU' not in machine.describe('cpu', '')
