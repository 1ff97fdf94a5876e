import pytest

from dropblock_mm.runs.nested_datasets import (
    innermost,
    innermost_with_keys,
    outwards,
)

A, B, C = ({'type': name, 'data_root': name} for name in 'ABC')
NESTED = {
    'dataset': {
        'type': 'ClassBalancedDataset',
        'dataset': {
            'type': 'ConcatDataset',
            'datasets': [{'type': 'RepeatDataset', 'dataset': A}, B],
        },
    }
}


def test_the_innermost_and_where_they_stand():
    assert [*innermost_with_keys(NESTED, 'train_dataloader')] == [
        ('train_dataloader.dataset.dataset.datasets.0.dataset', A),
        ('train_dataloader.dataset.dataset.datasets.1', B),
    ]
    assert [*innermost(NESTED)] == [A, B]


@pytest.mark.parametrize(
    ('holder', 'found'),
    [
        ({'dataset': C}, [C]),
        ({'dataset': None}, []),
        ({}, []),
        ({'datasets': (A, B)}, [A, B]),
        # A name, as some data sets of users have it, is no data set.
        ({'dataset': {'type': 'Mine', 'dataset': 'train'}},)
        + ([{'type': 'Mine', 'dataset': 'train'}],),
    ],
)
def test_loaders_of_all_kinds(holder, found):
    assert [*innermost(holder)] == found


def test_from_the_first_innermost_outwards():
    kinds = [part['type'] for part in outwards(NESTED['dataset'])]
    assert kinds == ['A', 'RepeatDataset', 'ConcatDataset', 'ClassBalancedDataset']
