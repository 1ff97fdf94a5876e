"""What users write under ``targets``."""

import pytest

from dropblock_mm import inject_drop_block
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


def test_injecting_twice_is_an_error():
    model = toy_classifier()
    inject_drop_block(model, [dict(module='backbone.layer4')])
    before = repr(model)
    with pytest.raises(ValueError, match='from an earlier injection already'):
        inject_drop_block(model, [dict(module='backbone')])
    assert repr(model) == before
