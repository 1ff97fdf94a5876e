"""What a GPU shows, without one."""

import math

import torch


def test_waiting_for_the_gpu_fails_its_gate(part, monkeypatch):
    module, peers, settings = part('cuda'), part('peers'), part('settings')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    for answer, passed in (('no', True), ('yes: called a synchronizing', False)):
        monkeypatch.setattr(
            module,
            'kernel_row',
            lambda way, case, answer=answer: dict(name=way.name, waits=answer),
        )
        section = module.run(settings.make_settings('cuda', quick=True, repeats=1))
        assert {row['name'] for row in section.tables[0].rows} > {peers.OURS.name}
        assert [gate.passed for gate in section.gates] == [passed]


def test_a_gpu_is_measured_only_if_asked_for(part, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    section = part('cuda').run(part('settings').Settings('cpu'))
    assert section.not_run == 'give --device cuda'


def test_inputs_of_three_sizes_in_every_format(part):
    cases = part('settings').CUDA_CASES
    assert len({str(case) for case in cases}) == len(cases)
    units = {math.prod(case.shape) for case in cases}
    assert min(units) > 3_000_000
    assert max(units) > 50_000_000
    last = next(case.tensor('cpu') for case in cases if case.channels_last)
    assert last.is_contiguous(memory_format=torch.channels_last)
