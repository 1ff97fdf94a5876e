"""The models whose training steps are measured."""

import pytest


def test_other_numbers_of_sites_are_an_error(part):
    with pytest.raises(RuntimeError, match='found 35 sites of ours'):
        part('models').check_sites(35, 27)
