import pytest
from mmseg.models.backbones import ResNetV1c
from torch import nn

from dropblock_mm import inject, inject_drop_block
from dropblock_mm.injection import format_sites
from dropblock_mm.injection.sites import named_groups, readable_name
from dropblock_mm.layers import DropBlock2d, Dropout, DropPath
from dropblock_mm.testing.toy import toy_classifier
from dropblock_mm.testing.toy_blocks import BasicBlock


def test_a_projection_is_one_place_wherever_the_target_begins():
    model = nn.Sequential(BasicBlock(4, 8))
    sites = inject_drop_block(model, [dict(module='.*')], keep_prob=0.5)
    assert [site.place.name for site in sites] == ['shortcut', 'conv1', 'conv2']


def test_a_stem_is_in_no_block_however_deep():
    model = nn.ModuleDict(dict(backbone=ResNetV1c(depth=18, base_channels=8)))
    sites = inject_drop_block(model, [dict(module='backbone')])
    assert len(sites) == 3 * 8
    assert all(site.module.startswith('backbone.layer') for site in sites)


def test_report_has_a_row_for_each_site():
    sites = inject_drop_block(
        toy_classifier(),
        [
            dict(module='backbone.layer3', gamma_scale=0.25),
            dict(
                module='backbone.layer4', block_size=3, keep_prob=0.8, calibrated=True
            ),
        ],
    )
    report = format_sites(sites)
    rows = [line.split() for line in report.splitlines() if 'backbone' in line]
    assert f'DropBlock at {len(sites)} sites' in report
    assert len(rows) == len(sites)
    assert rows[0] == ['backbone.layer3.0', 'shortcut', '7', '0.25']
    assert rows[-1][:4] == ['backbone.layer4.1', 'conv2', '3', '1']
    assert 'keep_prob 0.8, calibrated' in report.splitlines()[-1]


def test_report_marks_what_is_frozen():
    model = toy_classifier(frozen_stages=1).train()
    rows = format_sites(
        inject_drop_block(model, [dict(module='backbone')])
    ).splitlines()
    frozen = [row for row in rows if row.endswith('frozen')]
    assert len(frozen) == 6
    assert all('backbone.layer1' in row for row in frozen)


def test_report_names_the_layers_where_there_are_several():
    sites = inject(
        toy_classifier(),
        [
            dict(module='backbone.layer3', layer='DropPath', grows_with_depth=True),
            dict(module='backbone.layer4', block_size=3, shared_mask=True),
        ],
    )
    title, _, header, _, *rows = format_sites(sites).splitlines()
    assert title == 'DropPath and DropBlock at 8 sites'
    columns = ['module', 'place', 'layer', 'drop_scale', 'block_size', 'options']
    assert header.split() == columns
    assert [row.split() for row in rows[:3]] == [
        ['backbone.layer3.0', 'branch', 'DropPath', '0.5'],
        ['backbone.layer3.1', 'branch', 'DropPath', '1'],
        ['backbone.layer4.0', 'shortcut', 'DropBlock2d', '3', 'shared_mask'],
    ]


def test_report_of_one_other_layer_shows_its_settings_alone():
    target = dict(module='backbone.layer4', drop_scale=0.25)
    sites = inject(toy_classifier(), [target], layer='Dropout', keep_prob=0.7)
    title, _, header, _, row, *_ = format_sites(sites).splitlines()
    assert title == 'Dropout at 4 sites'
    assert header.split() == ['module', 'place', 'drop_scale', 'options']
    assert row.split() == ['backbone.layer4.0', 'conv1', '0.25', 'keep_prob', '0.7']


def test_what_injection_returns_shows_as_its_table():
    sites = inject_drop_block(toy_classifier(), [dict(module='backbone.layer4')])
    assert repr(sites) == str(sites) == format_sites(sites)
    assert repr(sites[:2]) == format_sites(sites[:2])
    assert repr(sites[:0]) == 'no sites'
    assert repr([sites[0]]) == (
        "[Site('backbone.layer4.0', 'shortcut', "
        'DropBlock2d(keep_prob=1, block_size=7))]'
    )
    assert 'ResNet' not in repr(sites[0].place)


def test_a_notebook_shows_the_table():
    sites = inject_drop_block(toy_classifier(), [dict(module='backbone.layer4')])
    page = sites._repr_html_()
    assert page.startswith('<p>DropBlock at 6 sites</p><table><tr><th>module</th>')
    assert page.count('<tr>') == 7
    assert '<td>backbone.layer4.1</td><td>conv2</td><td>7</td>' in page


# ---- names of targets in logs


@pytest.mark.parametrize(
    ('target', 'name'),
    [
        ('backbone.layer4', 'backbone.layer4'),
        ('backbone.layer[34]', 'backbone.layer_34'),
        (r'backbone\.layer3\.[1-9]', 'backbone.layer3.1-9'),
        (r'bbox_head\.(cls|reg)_convs', 'bbox_head.cls_reg_convs'),
        ('backbone.*', 'backbone'),
        (r'.*\.conv\d+', 'conv_d'),
        ('', 'model'),
        ('.*', 'model'),
        (None, 'plugins'),
    ],
)
def test_a_regular_expression_gets_a_readable_name(target, name):
    assert readable_name(target) == name


def layer(kind, target, keep_prob=None, **options):
    made = kind(keep_prob=keep_prob, **options)
    made.target = target
    return made


def test_names_that_would_be_the_same_are_told_apart():
    layers = [
        layer(DropBlock2d, 'neck', block_size=3),
        layer(Dropout, 'neck'),
        layer(Dropout, 'neck'),
        layer(Dropout, 'neck', 0.5),
        layer(DropPath, 'a[bc]'),
        layer(DropPath, 'a(bc)'),
        layer(DropPath, 'plugins'),
        layer(DropPath, None),
    ]
    groups = named_groups(layers)
    assert {name: len(group) for name, group in groups.items()} == {
        'neck.DropBlock2d': 1,
        'neck.Dropout': 2,
        'neck.Dropout_2': 1,
        'a_bc.DropPath': 1,
        'a_bc.DropPath_2': 1,
        'plugins.DropPath': 1,
        'plugins.DropPath_2': 1,
    }
    assert [one for group in groups.values() for one in group] == layers
