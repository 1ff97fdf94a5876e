"""The paper's numbers have one home, and are told as they are there."""

import re

import pytest

from tools.dev import write_paper_numbers as tool

# With a unit behind it, a number of the paper is told and not met by chance.
TOLD = re.compile(r'(?<![\d.])(\d\d\.\d+) (?:AP|AP50|AP75|mIoU|top-1)\b')
TEXTS = ('configs/**/*.py', 'configs/**/*.yml', 'configs/**/*.md', 'docs/en/*.md')


def test_all_places_tell_the_numbers_of_the_tables():
    """If not: python -m tools.dev.write_paper_numbers"""
    for path, text in tool.rewritten(tool.numbers()).items():
        assert text == path.read_text(), path


def test_every_number_is_told_somewhere():
    told = {key for place in tool.PLACES for key in place.keys}
    assert told == set(tool.numbers())


def test_a_number_that_changes_does_so_everywhere():
    known = tool.numbers()
    changed = known | {'table3/scratch/AP': '99.9', 'table1/dropblock/top-1': '98.76'}
    texts = tool.rewritten(changed)
    files = {
        path.relative_to(tool.ROOT).as_posix(): text for path, text in texts.items()
    }
    with_new = {name for name, text in files.items() if '99.9' in text}
    assert with_new == {
        'configs/retinanet/retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py',
        'configs/retinanet/README.md',
        'configs/_base_/dropblock/resnet_c4c5.py',
        'docs/en/reproduction.md',
        'docs/en/own_detector.md',
    }
    old = known['table3/scratch/AP']
    assert not any(re.search(rf'(?<![\d.]){old}(?!\d)', t) for t in files.values())
    fragment = files['configs/_base_/dropblock/resnet_c4c5.py']
    assert 'reaches\n98.76 top-1' in fragment or 'reaches 98.76 top-1' in fragment
    # Back again, nothing else has changed.
    for place in tool.PLACES:
        path = tool.ROOT / place.file
        texts[path] = place.rewrite(texts[path], known)
    assert all(text == path.read_text() for path, text in texts.items())


def test_no_number_is_told_where_the_writer_does_not_look():
    """So that the home of the numbers stays the only one."""
    known, stray = set(tool.numbers().values()), []
    for file in sorted({path for glob in TEXTS for path in tool.ROOT.glob(glob)}):
        name = file.relative_to(tool.ROOT).as_posix()
        spans = [
            match.span()
            for place in tool.PLACES
            if place.file == name
            for match in place.pattern.finditer(file.read_text())
        ]
        stray += [
            (name, match[0])
            for match in TOLD.finditer(file.read_text())
            if match[1] in known and not any(a <= match.start() < b for a, b in spans)
        ]
    assert not stray


def test_words_that_are_gone_are_named():
    place = tool.Place('a.md', 'reaches {table3/scratch/AP} AP')
    assert place.rewrite('It reaches\n1.0 AP.', {'table3/scratch/AP': '36.8'}) == (
        'It reaches\n36.8 AP.'
    )
    with pytest.raises(ValueError, match=r"a\.md does not say 'reaches"):
        place.rewrite('It gets 36.8 AP.', {'table3/scratch/AP': '36.8'})
