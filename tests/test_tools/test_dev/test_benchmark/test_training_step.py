"""The training step's table and gate."""

import pytest


def test_what_is_added_is_measured_within_rounds(part):
    sample = part('timing').Sample
    plain = [sample(ms) for ms in (100, 200, 300)]
    measured = [sample(ms) for ms in (104, 206, 310)]
    assert part('training_step').added(measured, plain).median == 3.0


@pytest.mark.parametrize(('device', 'limit'), [('cpu', 0.4), ('cuda', 1.5)])
def test_table_and_gate(part, device, limit):
    module, models = part('training_step'), part('models')
    sample = part('timing').Sample
    found = {
        models.PLAIN: [sample(100)],
        models.OURS: [sample(100.5)],
        models.PLUGIN: [sample(90)],
    }
    table, gate = module.compare(found, device)
    assert [row['name'] for row in table.rows] == list(found)
    assert table.rows[0]['added'] is None
    assert table.rows[2]['added'].median == -10
    assert (gate.value, gate.limit, gate.passed) == (0.5, limit, device == 'cuda')


def test_without_mmdet_it_is_not_run(part, monkeypatch):
    module, models = part('training_step'), part('models')
    monkeypatch.setattr(models, 'has_mmdet', lambda: False)
    section = module.run(part('settings').Settings())
    assert section.not_run == 'mmdet is not installed'
