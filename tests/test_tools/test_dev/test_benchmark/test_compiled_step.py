"""What DropBlock adds to a compiled step."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn


def test_what_a_head_adds_is_a_share_of_the_plain_step(part):
    sample, models = part('timing').Sample, part('models')
    whole = {
        models.PLAIN: [sample(100.0), sample(100.0)],
        models.HEAD: [sample(103.0), sample(101.0)],
    }
    alone = {
        models.PLAIN: [sample(9.0), sample(10.0), sample(11.0)],
        models.HEAD: [sample(9.4), sample(10.5), sample(13.0)],
    }
    plain, ours = part('compiled_step').compare(whole, alone).rows
    assert 'share' not in plain
    assert ours['added'].median == pytest.approx(2.0)
    assert ours['share'].median == pytest.approx(0.5)
    assert ours['head_ms'].median == 10.5


class Head(nn.Module):
    """Adds maps up, weighted."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, maps):
        """Return their sum."""
        return self.weight * sum(maps)


def test_a_head_is_compiled_for_its_step_and_runs_forward_and_backward(
    part, monkeypatch
):
    compiled = []

    def compile(function, **options):
        compiled.append((function, options))
        return function

    monkeypatch.setattr(torch, 'compile', compile)
    model = nn.Module()
    model.decode_head = Head()
    model.extract_feat = lambda x: [x[:, :1], x[:, 1:2]]
    settings = part('settings').make_settings('cpu', quick=True, repeats=None)
    step = SimpleNamespace(model=model)
    call = part('compiled_step').compiled_head(step, settings)
    assert compiled == [(model.decode_head.forward, {'fullgraph': True})]
    assert model.decode_head.weight.grad is None
    call()
    first = model.decode_head.weight.grad.clone()
    call()
    assert first != 0
    assert torch.equal(model.decode_head.weight.grad, 2 * first)


def test_quick_runs_and_those_without_mmseg_say_that_it_is_left_out(part, monkeypatch):
    make, models = part('settings').make_settings, part('models')
    monkeypatch.setattr(models, 'has_mmseg', lambda: False)
    notes = []
    for quick in (True, False):
        section = part('report').Section('compile', 'torch.compile')
        settings = make('cpu', quick=quick, repeats=None)
        part('compiled_step').add_to(section, settings)
        assert not section.gates
        notes += section.notes
    assert [note.split(': ')[1] for note in notes] == [
        'not in a quick run, for its half minute',
        'mmseg is not installed, skipped',
    ]
