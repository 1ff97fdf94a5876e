import pytest

from dropblock_mm.ops.arguments import names_unknown_arguments, reject_unknown


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
