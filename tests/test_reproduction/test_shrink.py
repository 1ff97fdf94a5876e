"""Shorter and smaller runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from dropblock_mm.config_files import config_path


def test_schedules_keep_their_proportion(part):
    shorten = part('shrink').shorten

    @given(
        before=st.integers(2, 600),
        after=st.integers(1, 600),
        first=st.floats(0.1, 0.5),
        second=st.floats(0.5, 1.0),
    )
    def check(before, after, first, second):
        milestones = [round(before * first), round(before * second)]
        cosine = dict(type='CosineAnnealingLR', begin=0, end=before, T_max=before)
        steps = dict(type='MultiStepLR', milestones=milestones)
        loop = dict(max_epochs=before)
        cfg = Config(dict(train_cfg=loop, param_scheduler=[cosine, steps]))
        shorten(cfg, after)
        cosine, steps = cfg.param_scheduler
        assert cfg.train_cfg.max_epochs == cosine.end == cosine.T_max == after
        assert cosine.begin == 0
        for old, new in zip(milestones, steps.milestones, strict=True):
            assert abs(new / after - old / before) <= 0.5 / after + 1e-9

    check()


def test_a_single_schedule_is_no_list(part):
    loop, cosine = dict(max_epochs=10), dict(type='CosineAnnealingLR', T_max=10)
    cfg = Config(dict(train_cfg=loop, param_scheduler=cosine))
    part('shrink').shorten(cfg, 5)
    assert cfg.param_scheduler.T_max == 5


def test_iterations_are_not_epochs(part, refusal):
    cfg = Config(dict(train_cfg=dict(max_iters=100)))
    with pytest.raises(refusal, match='--epochs 3 needs'):
        part('shrink').shorten(cfg, 3)


@pytest.mark.parametrize('name', ['table3', 'table4'])
def test_a_smoke_run_is_the_same_model_but_small(part, table, name):
    row = table(name).rows[-1]
    data = part('data').embedded_data(table(name).embedded, 'scenes')
    changes = part('plan').Changes(data, smoke=True)
    whole = Config.fromfile(config_path(row.config))
    small = part('plan').changed_config(row.config, 0, changes)
    assert small.custom_hooks == whole.custom_hooks
    kinds = [transform.type for transform in small.train_pipeline]
    assert [t.type for t in small.train_dataloader.dataset.pipeline] == kinds
    assert small.model.backbone.depth == whole.model.backbone.depth
    wide = 256 if name == 'table3' else 512
    assert small.model.neck.in_channels[0] == wide // 8
    assert small.val_dataloader.dataset.pipeline[1].scale == (128, 128)
    assert whole.val_dataloader.dataset.pipeline[1].scale[0] > 500
    assert small.train_cfg.max_epochs == 2
    assert small.auto_scale_lr.enable
