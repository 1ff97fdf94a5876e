import pytest

from dropblock_mm.injection import Place
from dropblock_mm.testing.toy_blocks import BasicBlock


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (dict(), 'no way to reach it. Give exactly one of after, slot, adds_input'),
        (dict(slot='downsample', adds_input=True), 'has slot and adds_input'),
        (dict(slot='downsample', kind='conv2'), "kind='conv2' is neither"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        Place(BasicBlock(), 'here', **options)
