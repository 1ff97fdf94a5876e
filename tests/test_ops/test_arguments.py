import pytest

from dropblock_mm.errors import RefusedTypeError
from dropblock_mm.ops.arguments import (
    DROP_RATE_NAMES,
    check_block_size,
    check_feature_size,
    names_unknown_arguments,
    reject_unknown,
)


class Example:
    @names_unknown_arguments
    def __init__(self, block_size, keep_prob=0.9):
        self.arguments = (block_size, keep_prob)


def test_known_arguments_pass():
    assert Example(7, keep_prob=0.5).arguments == (7, 0.5)


def test_a_typo_is_answered_with_the_closest_name():
    with pytest.raises(TypeError, match=r"no argument 'blok_size'.*'block_size'"):
        Example(blok_size=7)


def test_an_unlike_name_gets_the_list_only():
    with pytest.raises(TypeError, match='It takes: block_size, keep_prob') as error:
        reject_unknown(['zzz'], ['block_size', 'keep_prob'], 'Example')
    assert 'Did you mean' not in str(error.value)


# ---- the rate of dropping, which others ask for


@names_unknown_arguments
def drop(x, *, keep_prob, block_size, gamma_scale=1.0):
    return x, keep_prob, block_size, gamma_scale


class Layer:
    @names_unknown_arguments
    def __init__(self, *, keep_prob, block_size=7):
        self.arguments = (keep_prob, block_size)


def test_known_arguments_reach_the_function():
    assert drop(1, keep_prob=0.9, block_size=7) == (1, 0.9, 7, 1.0)
    assert Layer(keep_prob=0.9).arguments == (0.9, 7)


@pytest.mark.parametrize('name', DROP_RATE_NAMES)
def test_a_rate_of_dropping_is_answered_with_that_of_keeping(name):
    for call in (Layer, lambda **options: drop(1, block_size=7, **options)):
        with pytest.raises(RefusedTypeError) as error:
            call(**{name: 0.1})
        assert f'keep_prob = 1 - {name}: give keep_prob=0.9.' in str(error.value)
        assert 'Did you mean' not in str(error.value)


@pytest.mark.parametrize('value', [None, 'half', 7, True, [0.1]])
def test_no_value_is_computed_of_what_is_not_a_rate(value):
    with pytest.raises(TypeError, match=r'1 - drop_prob: give keep_prob\.'):
        drop(1, drop_prob=value, block_size=7)


def test_a_rate_of_dropping_is_a_typo_where_nothing_takes_keep_prob():
    with pytest.raises(TypeError, match=r"no argument 'p'\. It takes: module"):
        reject_unknown({'p': 0.1}, ['module'], 'Example')


@pytest.mark.parametrize(
    ('call', 'dropping', 'keeping'),
    [
        (
            lambda: drop(1, 0.1, 7),
            '= 1 - 0.1 = 0.9: write drop(x, keep_prob=0.9, block_size=7).',
            'keeping, write drop(x, keep_prob=0.1, block_size=7).',
        ),
        (
            lambda: drop(1, 0.3, block_size=5, gamma_scale=0.5),
            'write drop(x, keep_prob=0.7, block_size=5, gamma_scale=0.5).',
            'write drop(x, keep_prob=0.3, block_size=5, gamma_scale=0.5).',
        ),
        (
            lambda: Layer(0.1),
            '= 1 - 0.1 = 0.9: write Layer(keep_prob=0.9).',
            'keeping, write Layer(keep_prob=0.1).',
        ),
    ],
)
def test_a_rate_by_position_is_answered_with_both_readings(call, dropping, keeping):
    with pytest.raises(RefusedTypeError, match='torchvision, timm and mmdet') as error:
        call()
    assert dropping in str(error.value)
    assert keeping in str(error.value)


def test_other_values_by_position_are_answered_with_the_call_by_name():
    with pytest.raises(RefusedTypeError, match=r'Write drop\(x, keep_prob=7'):
        drop(1, 7, 0.1)


# ---- sides


@pytest.mark.parametrize(
    ('value', 'dims', 'checked'),
    [(7, 2, 7), ((3, 5), 2, (3, 5)), ([3, 5, 7], 3, (3, 5, 7)), ((4,), 1, (4,))],
)
def test_a_block_has_one_number_or_one_for_each_side(value, dims, checked):
    assert check_block_size(value, dims=dims) == checked


@pytest.mark.parametrize(
    ('value', 'error', 'text'),
    [
        ((3, 5, 7), ValueError, r'size=\(3, 5, 7\) has 3 sides, .* has 2\. Give 2 num'),
        ((3,), ValueError, 'has 1 sides'),
        ((3, 0), ValueError, r'size\[1\]=0 is below 1'),
        ((3, 1.5), TypeError, r'size\[1\]=1\.5 is not a whole'),
        ((True, 3), TypeError, r'size\[0\]=True'),
        ('33', TypeError, "size='33' is not a whole"),
    ],
)
def test_bad_sides_of_a_block_are_named(value, error, text):
    with pytest.raises(error, match=text):
        check_block_size(value, 'targets[0].block_size')


@pytest.mark.parametrize('size', [(40,), (40, 30), (4, 30, 20), [7, 8]])
def test_maps_have_one_to_three_sides(size):
    assert check_feature_size(size) == tuple(size)


@pytest.mark.parametrize(
    ('value', 'error'),
    [
        (40, TypeError),
        ((40.0, 40), TypeError),
        ((True, 40), TypeError),
        ((), ValueError),
        ((1, 2, 3, 4), ValueError),
        ((40, 0), ValueError),
    ],
)
def test_bad_maps_are_named(value, error):
    with pytest.raises(error, match='feature_size='):
        check_feature_size(value)
