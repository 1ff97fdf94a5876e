"""The tables as data."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from dropblock_mm.config_files import config_path

# Ghiasi et al. 2018, Tables 1, 3 and 4, typed a second time: against slips of the
# fingers in the first. No other file types them.
TABLE_1 = """
none 76.51 93.2
dropout 76.8 93.41
drop-path 77.1 93.5
spatial-dropout 77.41 93.74
cutout 76.52 93.21
autoaugment 77.63 93.82
label-smooth 77.17 93.45
dropblock 78.13 94.02
dropblock-label-smooth 78.35 94.15
"""
TABLE_3 = """
fine-tuned 36.5 55.0 39.1
scratch 36.8 54.6 39.4
block1 37.9 56.1 40.6
block3 38.3 56.4 41.2
block5 38.4 56.4 41.2
block7 38.2 56.0 40.9
"""
TABLE_4 = """
fine-tuned 74.6
scratch 47.2
block1 51.0
block4 53.2
block16 53.4
"""


@pytest.mark.parametrize(
    ('name', 'text'),
    [('table1', TABLE_1), ('table3', TABLE_3), ('table4', TABLE_4)],
)
def test_the_papers_numbers(table, name, text):
    found = [
        ' '.join([row.name, *map(str, row.paper.values())]) for row in table(name).rows
    ]
    assert found == text.split('\n')[1:-1]
    titles = [metric.title for metric in table(name).metrics]
    assert all(list(row.paper) == titles for row in table(name).rows)
    assert f'Table {name[-1]} of Ghiasi et al. 2018' in table(name).source


@pytest.mark.parametrize('name', ['table1', 'table3', 'table4', 'bccd', 'digit_scenes'])
def test_rows_have_the_config_that_they_name(table, name):
    for row in table(name).rows:
        path = Path(config_path(row.config))
        for title, value in row.paper.items():
            told = f'{value:.{table(name).digits}f}'
            assert re.search(rf'{told} {title}\b', path.read_text()), path
        hooks = Config.fromfile(path).get('custom_hooks', [])
        blocks = [hook['block_size'] for hook in hooks if 'block_size' in hook]
        if name == 'table1':  # which has one block size alone
            assert blocks == [7] * ('dropblock' in row.name)
            continue
        assert blocks == [int(size) for size in re.findall(r'block(\d+)', row.name)]
