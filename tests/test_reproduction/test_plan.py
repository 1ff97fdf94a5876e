"""Which runs there are, and what their configs are."""

import pytest
from mmengine.config import Config


@pytest.fixture
def plan_of(part, table, tmp_path):
    """A function that plans rows of the study of blood cells."""
    plan = part('plan')

    def make(rows, seeds=(0,), **changes):
        options = plan.Changes(**changes)
        return plan.make_plan(table('bccd'), rows, seeds, tmp_path, options)

    return make


def test_every_row_once_for_each_seed(plan_of, tmp_path):
    plan = plan_of(['none', 'block7'], [3, 5])
    asked = ['none, seed 3', 'block7, seed 3', 'none, seed 5', 'block7, seed 5']
    assert [str(run) for run in plan.asked] == asked
    assert [run.cfg.randomness.seed for run in plan.asked] == [3, 3, 5, 5]
    assert [str(run) for run in plan.known] == [asked[i] for i in (0, 2, 1, 3)]
    assert not list(tmp_path.iterdir())


def test_configs_are_what_is_written(part, plan_of, tmp_path):
    (run,) = plan_of(['block7']).asked
    part('plan').write_config(run)
    assert Config.fromfile(run.config).to_dict() == run.cfg.to_dict()


def test_earlier_runs_are_known(plan_of, tmp_path):
    for name in ('block1_seed2', 'other_seed0', 'configs'):
        (tmp_path / name).mkdir()
    plan = plan_of(['none'])
    assert [str(run) for run in plan.asked] == ['none, seed 0']
    assert [str(run) for run in plan.known] == ['none, seed 0', 'block1, seed 2']


def test_other_settings_are_refused_by_name(part, plan_of, tmp_path, save, refusal):
    (run,) = plan_of(['none']).asked
    part('plan').write_config(run)
    run.work_dir.mkdir()
    plan_of(['none'], epochs=3)  # nothing was saved yet
    save(run, 1)
    plan_of(['none'])
    with pytest.raises(refusal) as error:
        plan_of(['block1'], epochs=3)
    epochs = run.cfg.train_cfg.max_epochs
    assert f'train_cfg.max_epochs: {epochs} before, 3 now' in str(error.value)
    assert 'another --work-dir' in str(error.value)


def test_options_have_the_last_word(plan_of, tmp_path):
    options = {'train_cfg.max_epochs': 7, 'model.bbox_head.feat_channels': 8}
    plan = plan_of(['none'], epochs=3, options=options)
    assert plan.asked[0].cfg.train_cfg.max_epochs == 7
    assert plan.asked[0].cfg.model.bbox_head.feat_channels == 8


def test_an_option_that_does_not_fit_is_named(plan_of, tmp_path, refusal):
    said = r'--cfg-options model.type.x=1 does not fit bccd/'
    with pytest.raises(refusal, match=said):
        plan_of(['none'], options={'model.type.x': 1})
