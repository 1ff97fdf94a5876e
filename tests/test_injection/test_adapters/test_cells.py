"""The places of a cell: after each norm, on skip connections, after operations."""

import re

import pytest
import torch
from torch import nn

from dropblock_mm import AmoebaNet, detach, inject, inject_drop_block
from dropblock_mm.injection.adapters.cells import cell


@pytest.fixture(scope='module')
def largest():
    """AmoebaNet-B (6, 256) without memory for its weights."""
    with torch.device('meta'):
        return AmoebaNet()


@pytest.fixture
def small():
    torch.manual_seed(0)
    return AmoebaNet('B', 1, 8, norm_cfg={'type': 'BN'}).train()


HALF = r'cell(1[2-9]|2[0-2])'
PAPER = dict(keep_prob=0.9, block_size=11)


def test_sites_of_the_paper(largest):
    sites = inject_drop_block(
        largest, [dict(module=HALF)], keep_prob=0.9, block_size=11
    )
    kinds = [site.place.kind for site in sites]
    detach(sites)
    # 10 norms and 2 operations 'none' in each of 11 cells.
    assert kinds.count('conv') == 110
    assert kinds.count('shortcut') == 22
    norms = [m for i in range(12, 23) for m in norms_of(getattr(largest, f'cell{i}'))]
    assert len(norms) == 110


def norms_of(module):
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


def test_maps_of_these_cells_are_the_papers(largest):
    sites = inject_drop_block(
        largest, [dict(module=HALF)], keep_prob=0.9, block_size=11
    )
    sides = set()
    for site in sites:
        site.place.way.watch(lambda out: sides.add(out.shape[2]))
    largest(torch.empty(2, 3, 331, 331, device='meta'))
    detach(sites)
    assert sides == {21, 11}


@pytest.mark.parametrize(
    ('number', 'skips'),
    [
        # States 2 and 3, and the raw input for want of a cell before.
        (1, ['previous', 'state3_left', 'state5_left']),
        (2, ['state3_left', 'state5_left']),
        (3, ['state3_left', 'state5_right']),
        # Its state 1 is the stem's output, which fits as it is.
        (4, ['previous', 'state3_left', 'state5_right']),
        (22, ['state3_left', 'state5_right']),
    ],
)
def test_skips(largest, number, skips):
    places = cell(getattr(largest, f'cell{number}'))
    found = [place.name for place in places if place.kind == 'shortcut']
    assert sorted(found) == [f'{name}.shortcut' for name in skips]


def test_every_norm_of_every_cell_has_one_place(largest):
    for number in range(1, 23):
        part = getattr(largest, f'cell{number}')
        places = [p for p in cell(part) if p.kind != 'branch']
        reached = [id(place.way.module) for place in places]
        assert len(reached) == len({*reached})
        assert {id(norm) for norm in norms_of(part)} <= {*reached}


def test_a_projected_skip_has_one_place():
    """State 1 of A's first cell is halved by an operation 'none' in a reduction."""
    from dropblock_mm.models.backbones.amoebanet import Genotype
    from dropblock_mm.models.backbones.amoebanet import cell as read

    genotype = read('none(0) + sep3(1)', concat=(2,))
    net = AmoebaNet(Genotype(genotype, genotype), 1, 8)
    (place,) = [p for p in cell(net.cell2) if p.name == 'state2_left.shortcut']
    assert isinstance(place.way.module, nn.BatchNorm2d)
    sites = inject_drop_block(net, [dict(module='cell2')], keep_prob=0.9)
    after_norms = [s for s in sites if s.place.way.module is place.way.module]
    assert [site.place.kind for site in after_norms] == ['shortcut']


def test_what_is_dropped_on_a_skip_is_dropped_for_its_operation_alone(small):
    """State 3 of a normal cell is none(1) + sep3(0); others take state 1 too."""
    images = torch.randn(2, 3, 40, 40)
    target = dict(module='cell3', where='shortcut')
    seen = {}
    part = small.cell3
    for name in ('state2_left', 'state3_left', 'state4_left'):
        part.operations[name].register_forward_hook(
            lambda module, inputs, out, name=name: seen.update({name: (inputs[0], out)})
        )
    sites = inject(small, [target], layer='SpatialDropout', keep_prob=0.0)
    small(images)
    assert len(sites) == 2
    entered, _ = seen['state3_left']
    assert seen['state2_left'][0] is entered
    assert entered.abs().sum() > 0
    # Hooks run in their order, so this one saw the output before it was dropped.
    torch.testing.assert_close(seen['state3_left'][1], entered)
    assert all(site.layer.kept_units == 0 for site in sites)


def test_without_a_state_its_sum_is_the_other_operation(small):
    images = torch.randn(2, 3, 40, 40)
    part = small.cell3
    sums = {}
    part.operations['state3_right'].register_forward_hook(
        lambda module, inputs, out: sums.update(other=out)
    )
    part.register_forward_hook(lambda module, inputs, out: sums.update(out=out))
    inject(small, [dict(module='cell3', where='shortcut')], layer='SpatialDropout',
           keep_prob=0.0)  # fmt: skip
    small(images)
    channels = sums['other'].shape[1]
    # The output is states 0, 3, 4 and 6.
    torch.testing.assert_close(sums['out'][:, channels : 2 * channels], sums['other'])


def test_scheduled_drop_path_is_at_every_operation_but_none(small):
    sites = inject(small, [dict(module=r'cell\d+')], layer='DropPath', keep_prob=0.5)
    assert [site.place.kind for site in sites] == ['branch'] * 8 * 7
    names = {site.place.name for site in sites if site.module == 'cell3'}
    assert names == {
        f'state{number}_{side}.branch'
        for number in range(2, 7)
        for side in ('left', 'right')
    } - {'state3_left.branch', 'state5_right.branch'}


def test_the_rate_of_drop_path_can_grow_from_cell_to_cell(small):
    target = dict(module=r'cell\d+', grows_with_depth=True)
    sites = inject(small, [target], layer='DropPath', keep_prob=0.5)
    scales = {site.module: site.layer.drop_scale for site in sites}
    assert scales == {f'cell{i}': pytest.approx(i / 7) for i in range(1, 8)}


def test_both_kinds_of_layer_at_once(small):
    everywhere = dict(module=r'cell\d+')
    sites = inject(
        small,
        [
            dict(everywhere, layer='DropPath'),
            dict(everywhere, layer='DropBlock2d', block_size=2),
        ],
        keep_prob=0.9,
    )
    small(torch.randn(2, 3, 40, 40))[0].sum().backward()
    assert all(site.layer.seen_units > 0 for site in sites)


def test_what_has_no_skips_is_no_cell():
    plain = nn.Module()
    plain.operations = nn.ModuleDict({'a': nn.Conv2d(1, 1, 1)})
    assert cell(plain) is None
    plain.skips = []
    plain.operations = nn.ModuleList([nn.Conv2d(1, 1, 1)])
    assert cell(plain) is None


def test_the_stem_is_no_cell(small):
    with pytest.raises(ValueError, match=re.escape("'stem'")):
        inject(small, [dict(module='stem')], layer='DropPath', keep_prob=0.9)
