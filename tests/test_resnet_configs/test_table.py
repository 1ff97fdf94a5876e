"""The rows of Table 1 (sources: conftest.py)."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from dropblock_mm import InjectionHook, KeepProbScheduleHook
from dropblock_mm.analysis.sites.config_report import report_of
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.injection import inject_targets
from dropblock_mm.registry import HOOKS
from dropblock_mm.reproduction.tables import TABLE_1

FOLDER = Path(__file__).resolve().parents[2] / 'configs'
ROWS = [row.name for row in TABLE_1.rows]
DROPPED = ('dropout', 'drop-path', 'spatial-dropout', 'dropblock')
# What a row changes of the first one, beside custom_hooks.
CHANGED = {
    'cutout': {'train_pipeline', 'train_dataloader'},
    'autoaugment': {'train_pipeline', 'train_dataloader', 'autoaugment', 'grey'},
    'label-smooth': {'model'},
    'dropblock-label-smooth': {'model', 'train_cfg', 'param_scheduler'},
}


def docstring(row):
    return (FOLDER / TABLE_1.row(row).config).read_text().split('"""')[1]


def hooks_of(config):
    return [HOOKS.build(dict(hook)) for hook in config.get('custom_hooks', [])]


def sites_of(config):
    model = build_on_meta(lambda: MODELS.build(config.model))
    return inject_targets(model, hooks_of(config)[0].targets)


def test_the_folder_is_the_table():
    configs = [row.config for row in TABLE_1.rows]
    found = (path.relative_to(FOLDER) for path in FOLDER.glob('resnet/*.py'))
    assert sorted(configs) == sorted(path.as_posix() for path in found)
    assert len(ROWS) == 9


@pytest.mark.parametrize('row', ROWS)
def test_the_command_names_this_config_alone(row):
    (command,) = [s for s in docstring(row).splitlines() if 'dist_train.sh' in s]
    script, pattern, gpus = command.split()
    assert (script, gpus) == ('tools/dist_train.sh', '8')
    assert list(FOLDER.parent.glob(pattern)) == [FOLDER / TABLE_1.row(row).config]


@pytest.mark.parametrize('row', ROWS)
def test_the_docstring_says_what_was_not_done(row):
    words = ' '.join(docstring(row).split())
    top1, top5 = TABLE_1.row(row).paper.values()
    told = f'Paper: {top1:.2f} top-1, {top5:.2f} top-5 on val, the best of training.'
    assert f'{told} Not trained here.' in words
    assert 'not measured' in words


@pytest.mark.parametrize('row', ROWS)
def test_rows_differ_in_nothing_else(read, row):
    first, other = read('none').to_dict(), read(row).to_dict()
    changed = {k for k in {*first, *other} if first.get(k) != other.get(k)}
    if row == 'dropblock-label-smooth':
        assert read(row).max_epochs == 330
        changed -= {'max_epochs'}
    hooks = {'custom_hooks'} if row.startswith(DROPPED) else set()
    assert changed == CHANGED.get(row, set()) | hooks


@pytest.mark.parametrize('row', ['dropblock', 'dropblock-label-smooth'])
def test_drop_block(read, row):
    """Paper, 4.1: groups 3 and 4, block 7, keep_prob 0.9, gamma_3 = gamma / 4."""
    injection, schedule = hooks_of(read(row))
    assert [t.module for t in injection.targets] == [
        'backbone.layer3',
        'backbone.layer4',
    ]
    layers = [target.build() for target in injection.targets]
    assert [layer.gamma_scale for layer in layers] == [0.25, 1.0]
    assert {layer.block_size for layer in layers} == {7}
    assert not any(layer.calibrated or layer.shared_mask for layer in layers)
    assert schedule.keep_prob == 0.9
    # Section 3; TPU model: 1 - step / train_steps * (1 - keep_prob)
    assert (schedule.schedule, schedule.start_keep_prob) == ('linear', 1.0)


def test_drop_block_is_at_36_places(read):
    """TPU model: on the skip and behind 3 norms of each of the 6 + 3 blocks."""
    found = Counter(
        (site.module[:15], site.place.kind, site.layer.gamma_scale)
        for site in sites_of(read('dropblock'))
    )
    assert found == {
        ('backbone.layer3', 'conv', 0.25): 18,
        ('backbone.layer3', 'shortcut', 0.25): 6,
        ('backbone.layer4', 'conv', 1.0): 9,
        ('backbone.layer4', 'shortcut', 1.0): 3,
    }


def test_gamma_by_the_size_of_the_map():
    """Equation 1 at keep_prob 0.9, block 7; a quarter in group 3 (4.1.1)."""
    report = report_of(str(FOLDER / TABLE_1.row('dropblock').config))
    assert report.input_size == (224, 224)
    found = Counter(
        (row.module[9:15], size.height, float(f'{size.facts["gamma"]:.3g}'))
        for row in report.sites
        for size in row.maps
    )
    # TPU model: block 1's first convolution has the larger map.
    assert found == {
        ('layer3', 28, 0.000826): 1,
        ('layer3', 14, 0.00156): 23,
        ('layer4', 14, 0.00625): 1,
        ('layer4', 7, 0.1): 11,
    }


def test_nothing_is_dropped_at_step_0(read):
    """TPU model: keep_prob is 1 there. Dropout and SpatialDropout have no schedule."""
    for row in ('dropblock', 'dropblock-label-smooth', 'drop-path'):
        _, schedule = hooks_of(read(row))
        assert schedule.start_keep_prob == 1.0
    x = torch.ones(2, 4, 14, 14)
    for site in sites_of(read('dropblock')):
        site.layer.to_empty(device='cpu')
        site.layer.set_keep_prob(1.0)
        assert torch.equal(site.layer.train()(x), x)


@pytest.mark.parametrize('row', ['dropblock', 'drop-path', 'dropblock-label-smooth'])
def test_keep_prob_by_the_step(read, row):
    """TPU model: 1 - step / train_steps * (1 - keep_prob), of all steps of training.

    Group 3 there has 1 - (1 - keep_prob) / 4 of that step, so a quarter of gamma.
    """
    config = read(row)
    _, hook = hooks_of(config)
    steps = config.train_cfg.max_epochs * 1251
    assert steps == {'dropblock-label-smooth': 412_830}.get(row, 375_300)
    hook.begin_training(steps, 1251)
    for step in (0, 1, 1250, steps // 3, steps - 1):
        expected = 1 - step / steps * 0.1
        assert hook.keep_prob_at(step) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ('row', 'layer', 'keep_prob'),
    [('dropout', 'Dropout', 0.7), ('spatial-dropout', 'SpatialDropout', 0.9)],
)
def test_dropout_on_convolution_branches(read, row, layer, keep_prob):
    """Paper, 4.1.1 and Figure 3: convolutions of groups 3 and 4. Ours: no schedule."""
    config = read(row)
    (hook,) = hooks_of(config)
    assert isinstance(hook, InjectionHook)
    sites = sites_of(config)
    assert {type(site.layer).__name__ for site in sites} == {layer}
    assert {site.layer.final_keep_prob for site in sites} == {keep_prob}
    found = Counter(
        (s.module[:15], s.place.kind, s.layer.expected_keep_rate(keep_prob, (7, 7)))
        for s in sites
    )
    # Paper, 4.1.1: the rate of group 3 by 4, "in all the experiments"
    quarter = pytest.approx(1 - (1 - keep_prob) / 4)
    (rate3,) = {rate for module, _, rate in found if module.endswith('3')}
    (rate4,) = {rate for module, _, rate in found if module.endswith('4')}
    assert (rate3, rate4) == (quarter, pytest.approx(keep_prob))
    assert Counter((m, kind) for m, kind, _ in found.elements()) == {
        ('backbone.layer3', 'conv'): 18,
        ('backbone.layer4', 'conv'): 9,
    }


def test_drop_path_on_the_branches_of_group_4(read):
    """Paper, 4.1.1: scheduled, group 4 alone. Ours: the same rate in its blocks."""
    config = read('drop-path')
    _, schedule = hooks_of(config)
    assert isinstance(schedule, KeepProbScheduleHook)
    assert (schedule.keep_prob, schedule.schedule) == (0.9, 'linear')
    sites = sites_of(config)
    assert [site.module for site in sites] == [f'backbone.layer4.{i}' for i in range(3)]
    assert {site.place.kind for site in sites} == {'branch'}
    assert {site.layer.expected_keep_rate(0.9, (7, 7)) for site in sites} == {0.9}


def test_longer_training_with_both(read):
    """Paper, 4.1.1: DropBlock and label smoothing, for 330 epochs."""
    both = read('dropblock-label-smooth')
    assert both.model == read('label-smooth').model
    assert both.custom_hooks == read('dropblock').custom_hooks
    assert both.train_cfg.max_epochs == 330
