"""The tables."""

import pytest


@pytest.fixture
def estimate(part):
    """A function that makes an estimate of some GPU hours, by GPU."""

    def make(hours, images, loading=None):
        run = part('workload').Workload(8, gpus=8, iterations=1, images=images)
        step = part('step').Step(1, 2, 2, batch_size=8, sites=0, memory_gib=3)
        return part('report').Estimate('a/b.py', (8, 8), run, step, hours, loading)

    return make


def test_what_was_measured_is_not_assumed(part, estimate):
    text = part('report').markdown(
        [estimate({'a GPU': 0.5}, 7200)], 'cuda', ['V100-fp32']
    )
    assert 'training, measured' in text
    assert 'Assumed' not in text
    assert text.splitlines()[-1].split('|')[-2].strip() == '3.0'


def test_workers_follow_from_the_two_rates(part, estimate):
    loading = part('loading').Loading(images_per_second=20, size=(8, 8))
    table = part('report').workers_table([estimate({'fast': 0.02}, 3600, loading)])
    assert table.splitlines()[-1] == '| b      | 2.5  |'
