"""What fits a budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm.analysis.comparison.budget import (
    Cost,
    affordable,
    cost_of,
    proposal,
    proposal_text,
)
from dropblock_mm.config_files import config_path
from dropblock_mm.reproduction.trial import Measured, trial_config
from dropblock_mm.runs import load_config, prepare_library

COST = Cost(step=0.5, steps=100, length=12, unit='epochs', evaluation=10.0)


@given(
    st.floats(0.01, 100), st.integers(2, 5), st.integers(1, 4), st.sampled_from((3, 5))
)
def test_what_is_proposed_fits(hours, arms, at_once, seeds):
    length, chosen = proposal(COST, hours, arms, at_once)
    assert 3 <= chosen <= 10
    assert length <= COST.length
    rounds = -(-arms * chosen // at_once)
    assert rounds * length * COST.seconds <= hours * 3600
    if chosen > 3:
        assert length == COST.length, 'length comes before seeds'
    assert affordable(COST, hours, arms, seeds, at_once) <= COST.length


def test_the_proposal_is_what_can_be_typed():
    # 2 arms x 5 seeds x 12 epochs x 60 s are 2 hours.
    said = proposal_text(COST, 2.0, 2, 1)
    assert 'Proposed: --seeds 0 1 2 3 4' in said
    assert '--epochs' not in said
    assert '--epochs 6' in proposal_text(COST, 0.6, 2, 1)
    iterations = Cost(0.5, 1, 1000, 'iterations', 0.1)
    assert 'train_cfg.max_iters=500' in proposal_text(iterations, 0.5, 2, 1)
    assert 'Not even three seeds of one epoch' in proposal_text(COST, 0.01, 2, 1)


def test_seeds_for_which_no_epoch_fits_are_said_to_have_none():
    # 2 arms x 60 s: 3 seeds take .1 hours an epoch, 10 take .33.
    rows = proposal_text(COST, 0.2, 2, 1).splitlines()
    assert [row.split() for row in rows if row.startswith(('| 3 ', '| 10 '))] == [
        ['|', '3', '|', '2', '|', '0.20', '|'],
        ['|', '10', '|', 'none', 'fits', '|', '|'],
    ]


def test_steps_are_counted(tmp_path, monkeypatch):
    from dropblock_mm.testing.toy import EVALUATED_TOY_CONFIG

    path = tmp_path / 'toy.py'
    path.write_text(EVALUATED_TOY_CONFIG)
    cfg = load_config(str(path))
    prepare_library(cfg)
    cost = cost_of(cfg, Measured(0.3, 15), gpus=2)
    # Eight images, two in a batch, two processes; 16 images to evaluate on.
    assert (cost.steps, cost.length, cost.unit) == (2, 3, 'epochs')
    assert cost.evaluation == pytest.approx(16 * 0.3 / 4 / 3)


def test_a_trial_neither_saves_nor_evaluates():
    name = 'demo/retinanet_r18_fpn_dropblock_digit-scenes.py'
    cfg = load_config(config_path(name))
    trial = trial_config(cfg)
    assert trial.train_cfg == dict(type='IterBasedTrainLoop', max_iters=20)
    assert trial.val_dataloader is None
    assert trial.param_scheduler is None
    assert trial.default_hooks.checkpoint.save_last is False
    assert trial.custom_hooks == cfg.custom_hooks
    assert cfg.val_dataloader is not None
