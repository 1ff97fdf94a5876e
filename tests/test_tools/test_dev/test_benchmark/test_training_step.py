"""The training step's table and gate."""

import pytest
import torch


def test_what_is_added_is_measured_within_rounds(part):
    sample = part('timing').Sample
    plain = [sample(ms) for ms in (100, 200, 300)]
    measured = [sample(ms) for ms in (104, 206, 310)]
    assert part('training_step').added(measured, plain).median == 3.0


@pytest.fixture
def measured(part):
    """Made-up steps of the three models, and a timer of ours."""
    models, sample = part('models'), part('timing').Sample
    found = {
        models.PLAIN: [sample(100)],
        models.OURS: [sample(100.5)],
        models.PLUGIN: [sample(90)],
    }
    timer = part('site_time').SiteTimer(torch.nn.Identity())
    timer.seconds, timer.calls = [0.0005], [36]
    return found, {models.OURS: timer}


def test_whole_steps_and_what_the_sites_take_stand_side_by_side(part, measured):
    found, timers = measured
    table = part('training_step').compare(found, timers)
    assert [row['name'] for row in table.rows] == list(found)
    plain, ours, plugin = table.rows
    assert 'added' not in plain
    assert ours['added'].median == 0.5
    assert ours['sites'] == 36
    assert ours['share'].median == 0.5
    assert plugin['added'].median == -10
    assert 'share' not in plugin


def test_gates_are_on_the_sites_and_on_a_gpu_on_the_step(part, measured):
    module, (found, timers) = part('training_step'), measured
    table = module.compare(found, timers)
    gates = [
        module.gate(name, table, device)
        for name, device in (
            (module.DETECTOR, 'cpu'),
            (module.SEGMENTER, 'cpu'),
            (module.DETECTOR, 'cuda'),
        )
    ]
    assert [gate.value for gate in gates] == [0.5] * 3
    assert [gate.limit for gate in gates] == [0.4, 2.0, 1.5]
    assert [gate.passed for gate in gates] == [False, True, True]


def test_without_mmdet_it_is_not_run(part, monkeypatch):
    module, models = part('training_step'), part('models')
    monkeypatch.setattr(models, 'has_mmdet', lambda: False)
    section = module.run(part('settings').Settings())
    assert section.not_run == 'mmdet is not installed'
