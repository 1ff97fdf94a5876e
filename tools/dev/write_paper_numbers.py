"""Write the paper's numbers, from their one home, wherever they are told.

Usage::

    python -m tools.dev.write_paper_numbers

Their home is ``dropblock_mm/reproduction/tables.py``. Docstrings of configs and pages
of the documentation tell them too; ``PLACES`` says where and in which words. A test
holds both together. A number that is told in a new place needs a line here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dropblock_mm.reproduction.tables import (
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    Row,
    Table,
)

ROOT = Path(__file__).resolve().parents[2]
NUMBER = r'\d+\.\d+'
_WILD = {'<cell>': r'[^|\n]*', '<end>': '$'}


def numbers() -> dict[str, str]:
    """Return every number of the paper by its key, such as 'table3/block7/AP'."""
    return {
        f'{table.name}/{row.name}/{title}': f'{value:.{table.digits}f}'
        for table in (TABLE_1, TABLE_2, TABLE_3, TABLE_4)
        for row in table.rows
        for title, value in row.paper.items()
    }


@dataclass(frozen=True)
class Place:
    """Where numbers are told.

    Args:
        file: From the root of the clone.
        words: The text, with keys in braces where the numbers are. Any white space
            stands for any other, ``<cell>`` for any cell of a table, and ``<end>``
            for the end of a line.
    """

    file: str
    words: str

    @property
    def keys(self) -> list[str]:
        """The keys in the words, in their order."""
        return re.findall(r'{(.*?)}', self.words)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What finds the text, with a group for each number."""
        parts = re.split(r'({.*?}|\s+|<cell>|<end>)', self.words)
        return re.compile(''.join(map(_pattern_of, parts)), re.MULTILINE)

    def rewrite(self, text: str, known: dict[str, str]) -> str:
        """Put the numbers into a text, everywhere in it.

        Raises:
            ValueError: The words are not there.
        """
        if not self.pattern.search(text):
            raise ValueError(f'{self.file} does not say {self.words!r} any more')
        return self.pattern.sub(lambda match: self._filled(match, known), text)

    def _filled(self, match: re.Match[str], known: dict[str, str]) -> str:
        whole, begin = match[0], match.start()
        for group in range(len(self.keys), 0, -1):
            start, end = match.start(group) - begin, match.end(group) - begin
            whole = whole[:start] + known[self.keys[group - 1]] + whole[end:]
        return whole


def _pattern_of(part: str) -> str:
    if part.startswith('{'):
        return f'({NUMBER})'
    if part in _WILD:
        return _WILD[part]
    return r'\s+' if part.isspace() else re.escape(part)


def _keys(table: Table, row: Row) -> list[str]:
    return [f'{{{table.name}/{row.name}/{metric.title}}}' for metric in table.metrics]


def _row_places(
    table: Table, readme: str, page: str = 'docs/en/reproduction.md'
) -> Iterator[Place]:
    """Where all rows of a table are told: configs, their README, smoke runs."""
    for row in table.rows:
        keys = _keys(table, row)
        titles = [metric.title for metric in table.metrics]
        told = ', '.join(' '.join(pair) for pair in zip(keys, titles, strict=True))
        yield Place(f'configs/{row.config}', f'Paper: {told} on')
        link = f'[config]({Path(row.config).name}) |'
        yield Place(readme, f'| {" | ".join(keys)} | {link}')
        cells = ' |<cell>| '.join(keys)
        words = f'| {row.name} | {row.title} | {cells} |<cell>|<cell>|<end>'
        yield Place(page, words)


_SEGMENTATION = {
    'fine-tuned': 'none; fine-tuned from ImageNet',
    'scratch': 'none',
    'block1': 'keep_prob 0.2, block 1',
    'block4': 'keep_prob 0.2, block 4',
    'block16': 'keep_prob 0.2, block 16',
}
_BASELINES = {
    'dropout': 'resnet_c4c5_dropout',
    'spatial-dropout': 'resnet_c4c5_spatial_dropout',
    'drop-path': 'resnet_c5_drop_path',
}
PLACES = (
    *_row_places(TABLE_1, 'configs/resnet/README.md'),
    *(
        Place(
            f'configs/_base_/dropblock/{fragment}.py',
            f'ResNet-50 reaches {{table1/{row}/top-1}} top-1 with it, '
            '{table1/none/top-1} without, and {table1/dropblock/top-1} with DropBlock',
        )
        for row, fragment in _BASELINES.items()
    ),
    *_row_places(TABLE_2, 'configs/amoebanet/README.md', 'docs/en/amoebanet.md'),
    *_row_places(TABLE_3, 'configs/retinanet/README.md'),
    *_row_places(TABLE_4, 'configs/retinaseg/README.md'),
    *(
        Place('docs/en/segmentation.md', f'` | {model} | {{table4/{row}/mIoU}} |')
        for row, model in _SEGMENTATION.items()
    ),
    Place(
        'configs/_base_/dropblock/resnet_c4c5.py',
        'from scratch reaches {table3/block7/AP} AP with it, {table3/scratch/AP} '
        'without (section 4.3, Table 3); on ImageNet, ResNet-50 reaches '
        '{table1/dropblock/top-1} top-1 with it, {table1/none/top-1} without (Table 1)',
    ),
    Place(
        'configs/_base_/dropblock/decode_head.py',
        '500 epochs: {table4/block16/mIoU} mIoU, without DropBlock '
        '{table4/scratch/mIoU})',
    ),
    Place(
        'docs/en/amoebanet.md',
        'With DropBlock it reaches {table2/dropblock/top-1} top-1 on ImageNet in the '
        'paper, {table2/none/top-1} without',
    ),
    Place(
        'docs/en/guide.md',
        '7 ({table3/block7/AP} AP; 5: {table3/block5/AP}) | 0.9 |',
    ),
    Place(
        'docs/en/own_detector.md',
        'a fine-tuned RetinaNet ({table3/fine-tuned/AP} AP, 28 epochs)',
    ),
    Place(
        'docs/en/own_detector.md',
        'from {table3/scratch/AP} AP to between {table3/block1/AP} and '
        '{table3/block5/AP}, with blocks of 1 to 7 (Table 3)',
    ),
    Place(
        'docs/en/own_detector.md',
        '({table3/block3/AP}, {table3/block5/AP}, {table3/block7/AP}; Table 3). On '
        'PASCAL VOC 1, 4 and 16 give {table4/block1/mIoU}, {table4/block4/mIoU} and '
        '{table4/block16/mIoU} mIoU (Table 4)',
    ),
)


def rewritten(known: dict[str, str]) -> dict[Path, str]:
    """Return the files of all places as they should be."""
    texts: dict[Path, str] = {}
    for place in PLACES:
        path = ROOT / place.file
        text = texts.get(path) or path.read_text(encoding='utf-8')
        texts[path] = place.rewrite(text, known)
    return texts


def main(argv: Sequence[str] | None = None) -> None:
    """Write what has changed."""
    for path, text in rewritten(numbers()).items():
        if path.read_text(encoding='utf-8') != text:
            path.write_text(text, encoding='utf-8')
            print(f'wrote {path.relative_to(ROOT)}')


if __name__ == '__main__':
    main()
