"""Some images of a data set."""

from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm.datasets.few_images import FewImages, evenly_spaced
from dropblock_mm.testing.toy import ToyImages


@given(st.integers(0, 500), st.integers(1, 500))
def test_places_are_spread_over_all(length, number):
    places = evenly_spaced(length, number)
    assert len(places) == min(length, number)
    assert places == sorted(set(places))
    assert all(0 <= place < length for place in places)
    ends = [*places[1:], length][: len(places)]
    gaps = {end - place for place, end in zip(places, ends, strict=True)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_images_are_those_of_the_other_data_set():
    few = FewImages(dict(type='dropblock_mm.ToyImages', length=6), 3)
    few.full_init()  # which this data set does not have
    assert len(few) == 3
    assert [few[i]['data_samples'] for i in range(3)] == [0, 0, 0]
    assert (few[2]['inputs'] == ToyImages(6)[4]['inputs']).all()


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_others_are_all_that_were_left_out(length, number):
    toy = dict(type='dropblock_mm.ToyImages', length=length)
    few, others = FewImages(toy, number), FewImages(toy, number, others=True)
    assert sorted(few.places + others.places) == list(range(length))
    assert len(few) == min(length, number)
