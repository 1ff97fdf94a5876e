"""The environment that is recorded."""

import torch


def test_the_machine_is_described(part):
    found = part('machine').describe('cpu', 'as it is')
    assert found['torch'] == torch.__version__
    assert found['threads'] == str(torch.get_num_threads())
    assert found['allocator'] == 'as it is'
    assert all(isinstance(value, str) for value in found.values())
