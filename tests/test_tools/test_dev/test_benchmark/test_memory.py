"""Bytes saved and held, and peaks, of functions whose bytes are known."""

import pytest
import torch
from torch import nn

MIB = 2**20


class Keeps(torch.autograd.Function):
    """Saves half a MiB the official way, and hides a quarter in ``ctx``."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(torch.zeros(MIB // 8), torch.zeros(3)[1:])
        ctx.hidden = torch.zeros(MIB // 16)
        torch.zeros(MIB)  # comes and goes
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_saved_and_held_bytes_of_a_known_function(part):
    memory = part('memory')
    x = torch.zeros(1, 1, 64, 64, requires_grad=True)
    assert memory.saved_bytes(Keeps.apply, x) == MIB // 2 + 12
    assert memory.held_bytes(Keeps.apply, x) == MIB * 3 // 4 + 12


def test_a_storage_saved_twice_counts_once(part):
    x = torch.zeros(1, 1, 64, 64, requires_grad=True)
    saved = part('memory').saved_bytes(lambda x: x * x, x)
    assert saved == 64 * 64 * 4


def test_peak_of_known_allocations(part):
    def call():
        first = torch.zeros(MIB)
        second = torch.zeros(MIB // 2)
        del first
        return second + 1

    peaks = {part('memory').peak_bytes(call, 'cpu') for _ in range(3)}
    assert peaks == {6 * MIB}


def test_peaks_of_tiny_models_and_their_gate(part):
    memory, models = part('memory'), part('models')
    x = torch.randn(4, 8)

    def step(width):
        model = nn.Linear(8, width)
        return lambda: model(x).sum().backward()

    steps = {models.PLAIN: step(1000), models.OURS: step(1005), 'other': step(2000)}
    table, gate = memory.peaks(steps, 'cpu')
    changes = [row['change'] for row in table.rows]
    assert changes[0] == 0
    assert 0 < changes[1] < 1 < changes[2]
    assert gate.passed
    steps = {models.PLAIN: step(1000), models.OURS: step(1100)}
    assert not memory.peaks(steps, 'cpu')[1].passed


def test_shares_of_a_dense_mask_are_the_whole_input(part, monkeypatch):
    memory, peers = part('memory'), part('peers')
    monkeypatch.setattr(memory, 'BLOCK_SIZES', (3,))
    settings = part('settings').make_settings('cpu', quick=True, repeats=None)
    for measure in (memory.saved_bytes, memory.held_bytes):
        dense = memory.share_row(peers.DENSE, measure, settings)
        ours = memory.share_row(peers.OURS, measure, settings)
        assert set(dense) == set(ours)
        for key, share in ours.items():
            if key != 'name':
                assert dense[key] == pytest.approx(100, abs=0.1)
                assert share < 50


def test_the_largest_share_is_held_to_the_gate(part):
    memory, report, peers = part('memory'), part('report'), part('peers')
    rows = [dict(name=peers.OURS.name, a=0.5, b=1.9), dict(name='other', a=100.0)]
    gate = memory.share_gate(report.Table('', [], rows), 'saved')
    assert (gate.value, gate.passed) == (1.9, True)
    rows[0]['b'] = 2.1
    assert not memory.share_gate(report.Table('', [], rows), 'saved').passed
