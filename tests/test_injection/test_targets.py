"""What users write under ``targets``."""

import pytest

from dropblock_mm import DropPath, ScheduledDrop, inject, inject_drop_block
from dropblock_mm.testing.toy import toy_classifier

PAPER_TARGETS = [
    dict(module='backbone.layer3', gamma_scale=0.25),
    dict(module='backbone.layer4'),
]


def test_where_selects_places():
    for where, count in (('conv', 16), ('shortcut', 8), ('both', 24)):
        target = dict(module='backbone', where=where)
        assert len(inject_drop_block(toy_classifier(), [target])) == count


def test_a_target_overrides_the_shared_options():
    sites = inject_drop_block(
        toy_classifier(),
        [
            dict(module='backbone.layer3'),
            dict(
                module='backbone.layer4',
                block_size=2,
                keep_prob=0.5,
                gamma_scale=0.75,
                calibrated=False,
                shared_mask=True,
                where='conv',
            ),
        ],
        block_size=4,
        keep_prob=0.9,
        calibrated=True,
    )
    assert (
        repr(sites[0].layer)
        == 'DropBlock2d(keep_prob=0.9, block_size=4, calibrated=True)'
    )
    assert repr(sites[-1].layer) == (
        'DropBlock2d(keep_prob=0.5, block_size=2, gamma_scale=0.75, shared_mask=True)'
    )
    assert {site.place.kind for site in sites[-4:]} == {'conv'}


def test_regular_expressions_match_whole_paths():
    by_pattern = inject_drop_block(
        toy_classifier(), [dict(module=r'backbone\.layer[34]')]
    )
    assert {site.module.split('.')[1] for site in by_pattern} == {'layer3', 'layer4'}
    # 'backbone' and everything beneath match; each site still comes once.
    everything = inject_drop_block(toy_classifier(), [dict(module='backbone.*')])
    assert len(everything) == 24


@pytest.mark.parametrize(
    ('targets', 'options', 'error', 'text'),
    [
        (
            [dict(module='backbone.layr4')],
            {},
            ValueError,
            r"targets\[0\]\.module='backbone\.layr4' matches no.*backbone\.layer4",
        ),
        ([dict(module='zzz')], {}, ValueError, 'Its parts are: .*backbone, head'),
        ([dict(module='layer(')], {}, ValueError, 'neither the path .* nor a regular'),
        (
            [dict(module='head')],
            {},
            ValueError,
            r"targets\[0\]\.module='head'.*head \(Linear\).*no site",
        ),
        (
            PAPER_TARGETS + [dict(module='backbone.layer4.1')],
            {},
            ValueError,
            r'backbone\.layer4\.1 \(shortcut\).*from targets\[1\] already',
        ),
        (
            [dict(module='backbone', blok_size=7)],
            {},
            TypeError,
            "Did you mean 'block_size'",
        ),
        (
            [dict(module='backbone', keep_prob=1.1)],
            {},
            ValueError,
            r'targets\[0\]\.keep_prob=1\.1',
        ),
        (
            [dict(module='backbone', block_size=2.5)],
            {},
            TypeError,
            r'targets\[0\]\.block_size=2\.5',
        ),
        (
            [dict(module='backbone', where='skip')],
            {},
            ValueError,
            r"targets\[0\]\.where='skip'",
        ),
        ([dict(block_size=7)], {}, TypeError, r'targets\[0\]\.module=None'),
        (['backbone'], {}, TypeError, r"targets\[0\]='backbone' is not a dict"),
        (dict(module='backbone'), {}, TypeError, 'is not a list'),
        ('backbone', {}, TypeError, 'is not a list'),
        ([], {}, ValueError, r'targets=\[\] names no module'),
        (PAPER_TARGETS, dict(keep_prob=float('nan')), ValueError, 'keep_prob=nan'),
        (PAPER_TARGETS, dict(block_size=0), ValueError, 'block_size=0'),
        (PAPER_TARGETS, dict(calibrated='yes'), TypeError, "calibrated='yes'"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(targets, options, error, text):
    model = toy_classifier()
    before = repr(model)
    with pytest.raises(error, match=text):
        inject_drop_block(model, targets, **options)
    assert repr(model) == before


@pytest.mark.parametrize(
    ('layer', 'options', 'kinds', 'shown'),
    [
        (
            'DropBlock2d',
            dict(block_size=3),
            {'conv', 'shortcut'},
            'DropBlock2d(keep_prob=0.8, block_size=3)',
        ),
        ('Dropout', {}, {'conv'}, 'Dropout(keep_prob=0.8)'),
        (
            'SpatialDropout',
            dict(drop_scale=0.25),
            {'conv'},
            'SpatialDropout(keep_prob=0.8, drop_scale=0.25)',
        ),
        ('DropPath', {}, {'branch'}, 'DropPath(keep_prob=0.8)'),
        (DropPath, dict(where='shortcut'), {'shortcut'}, 'DropPath(keep_prob=0.8)'),
    ],
)
def test_a_layer_goes_where_it_belongs_with_its_options(layer, options, kinds, shown):
    sites = inject(
        toy_classifier(),
        [dict(module='backbone.layer4')],
        layer=layer,
        keep_prob=0.8,
        **options,
    )
    assert {site.place.kind for site in sites} == kinds
    assert {repr(site.layer) for site in sites} == {shown}


def test_shared_options_are_for_the_shared_layer():
    """But keep_prob and where are for all targets."""
    model = toy_classifier()
    sites = inject(
        model,
        [
            dict(module='backbone.layer3', layer='Dropout', drop_scale=0.5),
            dict(module='backbone.layer4', keep_prob=0.3),
        ],
        where='conv',
        keep_prob=0.7,
        block_size=5,
    )
    assert {repr(site.layer) for site in sites} == {
        'Dropout(keep_prob=0.7, drop_scale=0.5)',
        'DropBlock2d(keep_prob=0.3, block_size=5)',
    }
    assert {site.place.kind for site in sites} == {'conv'}


def test_a_rate_can_grow_with_depth():
    """Of the blocks that a target names, in their order: i of n has i / n of it."""
    for layer, places in ((dict(layer='DropPath'), 1), (dict(block_size=1), 3)):
        target = dict(module=r'backbone\.layer[34]', grows_with_depth=True)
        sites = inject(toy_classifier(), [target], keep_prob=0.8, **layer)
        scales = [site.layer.drop_scale for site in sites[::places]]
        assert scales == pytest.approx([0.25, 0.5, 0.75, 1.0])
        rates = [site.layer.expected_keep_rate(0.8, (9, 9)) for site in sites[::places]]
        assert rates == pytest.approx([0.95, 0.9, 0.85, 0.8])
    target['gamma_scale'] = 0.5
    sites = inject(toy_classifier(), [target], block_size=1)
    assert sites[0].layer.gamma_scale == pytest.approx(0.125)


class Picky(ScheduledDrop):
    """A layer of a user's own, which needs an option and checks it in plain words."""

    def __init__(self, keep_prob, *, mode):
        super().__init__(keep_prob=keep_prob)
        if mode != 'good':
            raise ValueError(f'mode={mode!r} is not good.')


@pytest.mark.parametrize(
    ('target', 'error', 'text'),
    [
        (
            dict(layer='DropPth'),
            ValueError,
            r"targets\[0\]\.layer='DropPth' is no layer\. Near matches: DropPath",
        ),
        (dict(layer='zzz'), ValueError, 'There are: DropBlock2d, .*DropPath'),
        (dict(layer=3), TypeError, r'targets\[0\]\.layer=3 is neither a name nor'),
        (dict(layer=dict), TypeError, r'targets\[0\]\.layer=.* is neither a name'),
        (
            dict(layer='Dropout', block_size=7),
            TypeError,
            r"targets\[0\] \(layer Dropout\) has no argument 'block_size'.*drop_scale",
        ),
        (
            dict(layer='DropPath', drop_scale=-1),
            ValueError,
            r'^targets\[0\]\.drop_scale=-1',
        ),
        (
            dict(layer='DropPath', keep_prob=2),
            ValueError,
            r'^targets\[0\]\.keep_prob=2',
        ),
        (dict(), TypeError, r'targets\[0\]\.block_size is missing: DropBlock2d needs'),
        (dict(grows_with_depth=1), TypeError, r'targets\[0\]\.grows_with_depth=1'),
        (dict(layer='Picky'), TypeError, r'targets\[0\]\.mode is missing: Picky needs'),
        (
            dict(layer=Picky, mode='bad'),
            ValueError,
            r"^targets\[0\]\.mode='bad' is not good",
        ),
        (
            dict(layer=Picky, mode='good', grows_with_depth=True),
            TypeError,
            r'\.grows_with_depth .* of Picky, which has no option drop_scale',
        ),
        (dict(layer='Dropout', where='head'), ValueError, "'branch' \\(what a resid"),
    ],
)
def test_what_a_layer_refuses_names_the_target(target, error, text):
    model = toy_classifier()
    before = repr(model)
    with pytest.raises(error, match=text):
        inject(model, [dict(module='backbone', **target)])
    assert repr(model) == before


@pytest.mark.parametrize(
    ('options', 'error', 'text'),
    [
        (dict(layer='DropBlok2d'), ValueError, r"^layer='DropBlok2d' is no layer"),
        (
            dict(blok_size=7),
            TypeError,
            r"^inject has no argument 'blok_size'\. Did you mean 'block_size'",
        ),
        (dict(block_size=0), ValueError, '^block_size=0'),
        (dict(layer='DropPath', keep_prob=-1), ValueError, '^keep_prob=-1'),
        (dict(where='skip', block_size=7), ValueError, "^where='skip' is not a place"),
    ],
)
def test_bad_defaults_are_named(options, error, text):
    with pytest.raises(error, match=text):
        inject(toy_classifier(), [dict(module='backbone')], **options)


def test_two_layers_at_different_places_of_a_block_go_together():
    """Also at one module's output: behind the last convolution is the branch's end."""
    model = toy_classifier()
    target = dict(module='backbone.layer4')
    sites = inject(model, [target], block_size=3, where='conv')
    sites += inject(model, [target], layer='DropPath')
    ends = [site.place.after for site in sites]
    assert len(set(ends)) == 4
    assert len(ends) == 6
    with pytest.raises(ValueError, match='has DropBlock from an earlier injection'):
        inject(model, [target], layer='Dropout')
    with pytest.raises(ValueError, match='has DropPath from an earlier injection'):
        inject(model, [target], layer='Dropout', where='branch')
    with pytest.raises(ValueError, match=r'has DropPath from targets\[0\] already'):
        inject(toy_classifier(), [target, target], layer='DropPath')


def test_injecting_twice_is_an_error():
    model = toy_classifier()
    inject_drop_block(model, [dict(module='backbone.layer4')])
    before = repr(model)
    with pytest.raises(ValueError, match='from an earlier injection already'):
        inject_drop_block(model, [dict(module='backbone')])
    assert repr(model) == before
