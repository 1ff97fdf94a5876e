"""Polygons are passed over where nothing reads them, and nothing else is."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropblock_mm.data_checks.annotations.masks import Mask
from dropblock_mm.data_checks.json_files import json_flaw, read_json

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
polygons = st.lists(st.lists(numbers, min_size=1, max_size=7), min_size=1, max_size=3)
texts = st.sampled_from(['a', '"segmentation": [[1, 2]]', '\\', '"', ']]'])
entries = st.fixed_dictionaries(
    dict(id=numbers, name=texts, segmentation=polygons | texts | st.none())
)
ANY = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(listed=st.lists(entries, max_size=3), indent=st.sampled_from([None, 1]))
@ANY
def test_all_but_polygons_is_read(tmp_path, listed, indent):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(dict(annotations=listed), indent=indent))
    for masks in (False, True):
        found = read_json(str(path), masks)['annotations']
        assert [one.keys() for one in found] == [one.keys() for one in listed]
        for one, expected in zip(found, listed, strict=True):
            assert one['id'] == expected['id']
            assert one['name'] == expected['name']
            assert isinstance(one['segmentation'], Mask) or not masks


@pytest.mark.parametrize(
    'polygon',
    [
        '[[1,,2]]',
        '[[1, 2]',
        '[[01, 2]]',
        '[[1.]]',
        '[[.5]]',
        '[[1e]]',
        '[[]],',
        '[[+1]]',
    ],
)
def test_broken_polygons_are_found_and_placed(tmp_path, polygon):
    """At the place where they are in the file."""
    path = tmp_path / 'a.json'
    sound = json.dumps(dict(segmentation=[[1, 2, 3]]))
    path.write_text(f'[{sound}, {{"segmentation": {polygon}, "id": 1}}]')
    with pytest.raises(ValueError) as expected:  # noqa: PT011 - any message
        json.loads(path.read_text())
    assert json_flaw(str(path)) == str(expected.value)


def test_lists_that_are_too_deep(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('[' * 100_000 + ']' * 100_000)
    assert 'too deep' in json_flaw(str(path))
