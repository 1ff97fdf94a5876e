"""What a config will drop, by when: against the hook and the exact rates."""

import pytest
from mmengine.config import Config

from dropblock_mm import expected_keep_rate, seed_rate
from dropblock_mm.analysis.figures.schedule import (
    draw_schedule,
    logged_rates,
    schedule_record,
)
from dropblock_mm.analysis.schedule import (
    Length,
    keep_probs_over,
    schedule_curves,
    schedule_of,
    training_length,
)
from dropblock_mm.analysis.sites.site_kinds import SiteKind
from dropblock_mm.analysis.sites.site_rows import MapRow, SiteRow
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.training_log import TrainingLog

INJECTION = {'type': 'dropblock_mm.DropBlockInjectionHook', 'targets': []}
HOOK = {'type': 'dropblock_mm.KeepProbScheduleHook', 'keep_prob': 0.8}


def kind(keep_prob=0.8, layer='DropBlock2d', target='backbone.layer4', **options):
    site = SiteRow(
        'm', 'conv1', 'conv', target, layer, keep_prob, options, options,
        frozen=False, averaged=False,
    )  # fmt: skip
    return SiteKind(target, site, MapRow(8, 10, 12, 0.9, {}), 3)


def config(**hook):
    return Config({'custom_hooks': [{**HOOK, **hook}]})


def test_curves_are_the_exact_ones():
    stage = kind(block_size=3, gamma_scale=0.25)
    curves = schedule_curves([stage], schedule_of(config()), Length(51, 10))
    assert curves.iterations == list(range(51))
    (found,) = curves.stages
    assert found.keep_prob == pytest.approx([1 - 0.2 * i / 50 for i in range(51)])
    options = dict(block_size=3, feature_size=(10, 12), gamma_scale=0.25)
    for index in (0, 20, 50):
        rate = found.keep_prob[index]
        assert found.gamma[index] == seed_rate(keep_prob=rate, **options)
        assert found.expected[index] == expected_keep_rate(keep_prob=rate, **options)


def test_a_stage_ends_at_its_own_rate_and_other_layers_have_no_gamma():
    stages = [kind(0.5, block_size=3), kind(layer='Dropout')]
    curves = schedule_curves(stages, schedule_of(config()), Length(11, 1))
    own, dropout = curves.stages
    assert (own.keep_prob[0], own.keep_prob[-1]) == (1.0, 0.5)
    assert dropout.gamma is None
    assert dropout.expected == pytest.approx(dropout.keep_prob)


def test_without_a_schedule_the_rate_is_constant_or_the_papers():
    injected = schedule_of(Config({'custom_hooks': [INJECTION]}), 0.7)
    assert keep_probs_over(injected, 3) == [0.7, 0.7, 0.7]
    plain = schedule_of(Config({}))
    assert keep_probs_over(plain, 3) == pytest.approx([1, 0.95, 0.9], abs=1e-4)


def test_a_schedule_beyond_the_training_is_refused():
    schedule = schedule_of(config(end=30, unit='epoch'))
    with pytest.raises(RefusedValueError, match='beyond training'):
        schedule_curves([kind(block_size=3)], schedule, Length(100, 10))


@pytest.mark.parametrize(
    ('loop', 'images', 'expected'),
    [
        ({'max_iters': 70}, None, Length(70, 70)),
        ({'max_epochs': 5}, 80, Length(50, 10)),
        ({'max_epochs': 5}, None, Length(1000, 200, known=False)),
    ],
)
def test_the_length_is_counted_or_said_not_to_be_known(loop, images, expected):
    loader = {'batch_size': 8, 'dataset': {'type': 'CocoDataset', 'ann_file': 'none'}}
    cfg = Config({'train_cfg': loop, 'train_dataloader': loader})
    assert training_length(cfg, 'config', images) == expected


def test_what_was_logged_stands_beside_what_was_expected(tmp_path):
    curves = schedule_curves(
        [kind(block_size=3)], schedule_of(config()), Length(101, 1)
    )
    rows = [
        {
            'step': step,
            'target_keep_rate.backbone.layer4': 1 - step / 1000,
            'effective_keep_rate': 0.5,
        }
        for step in range(1, 102)
    ]
    logged = logged_rates(TrainingLog(rows, []))
    assert set(logged) == {'backbone.layer4', 'all'}
    record = schedule_record(tmp_path / 's.png', curves, logged, [], '')
    shown = [(line[1], line[-1]) for line in record.tables[0].rows]
    assert shown == [
        (str(i), f'{1 - (i + 1) / 1000:.4f}') for i in (0, 25, 50, 75, 100)
    ]


@pytest.mark.parametrize(('number', 'least', 'most'), [(3, 6, 12), (500, 1, 4)])
def test_few_logged_rates_are_large_enough_to_be_seen(number, least, most):
    curves = schedule_curves([kind(block_size=3)], schedule_of(config()), Length(51, 1))
    logged = {'all': (list(range(number)), [0.9] * number)}
    points = draw_schedule(curves, logged).axes[2].lines[-1]
    assert least < points.get_markersize() < most
