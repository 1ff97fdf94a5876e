"""The rows of Table 3 (sources: conftest.py)."""

from collections import Counter
from pathlib import Path

import pytest
from mmengine.registry import MODELS

from dropblock_mm import DropBlockInjectionHook, KeepProbScheduleHook
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.injection import inject_targets
from dropblock_mm.registry import HOOKS
from dropblock_mm.reproduction import tables

FOLDER = Path(__file__).resolve().parents[2] / 'configs/retinanet'
SCRATCH = 'retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py'
TUNED = 'retinanet_r50_fpn_sepbn_8xb8-28e_coco.py'


def with_block(size):
    return SCRATCH.replace('8xb8', f'dropblock-keep90-block{size}_8xb8')


# Paper, Table 3: config -> (block size, AP, AP50, AP75)
TABLE_3 = {
    name: (block, *(f'{value:.1f}' for value in row.paper.values()))
    for row, (name, block) in zip(
        tables.TABLE_3.rows,
        [(TUNED, None), (SCRATCH, None), *((with_block(n), n) for n in (1, 3, 5, 7))],
        strict=True,
    )
}


def test_the_folder_is_the_table():
    assert {path.name for path in FOLDER.glob('*.py')} == set(TABLE_3)


@pytest.mark.parametrize('name', TABLE_3)
def test_the_docstring_has_the_papers_numbers(name):
    text = (FOLDER / name).read_text().split('"""')[1]
    ap, ap50, ap75 = TABLE_3[name][1:]
    assert f'Paper: {ap} AP, {ap50} AP50, {ap75} AP75 on val2017. Not trained' in text


@pytest.mark.parametrize('name', TABLE_3)
def test_the_command_names_this_config_alone(name):
    text = (FOLDER / name).read_text().split('"""')[1]
    (command,) = [line for line in text.splitlines() if 'dist_train.sh' in line]
    script, pattern, gpus = command.split()
    assert (script, gpus) == ('tools/dist_train.sh', '8')
    assert list(FOLDER.parents[1].glob(pattern)) == [FOLDER / name]


@pytest.mark.parametrize('name', TABLE_3)
def test_drop_block_is_in_conv4_and_conv5(name, read):
    hooks = [HOOKS.build(dict(h)) for h in read(name).get('custom_hooks', [])]
    block_size = TABLE_3[name][0]
    if block_size is None:
        assert not hooks
        return
    injection, schedule = hooks
    assert isinstance(injection, DropBlockInjectionHook)
    assert isinstance(schedule, KeepProbScheduleHook)
    modules = [target.module for target in injection.targets]
    group3, group4 = [target.build() for target in injection.targets]
    # Paper, 4.1.1: groups 3 and 4, gamma_3 = gamma / 4
    assert modules == ['backbone.layer3', 'backbone.layer4']
    assert (group3.gamma_scale, group4.gamma_scale) == (0.25, 1.0)
    assert group3.block_size == group4.block_size == block_size  # Table 3
    assert not group3.calibrated
    assert schedule.keep_prob == 0.9  # Table 3
    assert (schedule.schedule, schedule.start_keep_prob) == ('linear', 1.0)  # section 3


def test_where_the_layers_are(read):
    """TPU resnet: behind 3 norms and on the skip of each of the 6 + 3 blocks."""
    config = read(with_block(7))
    model = build_on_meta(lambda: MODELS.build(config.model))
    targets = HOOKS.build(dict(config.custom_hooks[0])).targets
    found = Counter(
        (site.module[:15], site.place.kind, site.layer.gamma_scale)
        for site in inject_targets(model, targets)
    )
    assert found == {
        ('backbone.layer3', 'conv', 0.25): 18,
        ('backbone.layer3', 'shortcut', 0.25): 6,
        ('backbone.layer4', 'conv', 1.0): 9,
        ('backbone.layer4', 'shortcut', 1.0): 3,
    }


def test_rows_from_scratch_differ_in_drop_block_alone(read):
    plain = read(SCRATCH).to_dict()
    for name, (block_size, *_) in TABLE_3.items():
        if block_size is not None:
            other = read(name).to_dict()
            hooks = other.pop('custom_hooks')
            assert other == plain
            hooks[0].pop('block_size')
            assert hooks == [
                {k: v for k, v in hook.items() if k != 'block_size'}
                for hook in read(with_block(7)).to_dict()['custom_hooks']
            ]


def test_fine_tuning_differs_in_weights_and_schedule_alone(read):
    plain, tuned = read(SCRATCH).to_dict(), read(TUNED).to_dict()
    for config in (plain, tuned):
        for key in ('max_epochs', 'train_cfg', 'param_scheduler'):
            del config[key]
        for key in ('init_cfg', 'frozen_stages'):
            del config['model']['backbone'][key]
    assert tuned == plain
