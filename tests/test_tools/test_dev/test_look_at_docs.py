"""The look at the built documentation sees what is cut, and nothing else."""

import shutil

import pytest

from tools.dev import look_at_docs

PAGE = """<!DOCTYPE html><html><head><meta name="viewport"
content="width=device-width, initial-scale=1"></head>
<body style="margin: 0"><article>{}</article></body></html>"""
WIDE = '<div style="width: 2000px">wide</div>'
SCROLLS = f'<div style="overflow-x: auto">{WIDE}</div>'
TALL = f'<table style="width: 200px"><td>{"word " * 200}</td></table>'


@pytest.fixture
def pages(tmp_path):
    """A folder with a page of each kind."""
    if not (shutil.which('chromium') or shutil.which('chromium-browser')):
        pytest.skip('no chromium on the PATH to open the pages with')
    bodies = {'fits': SCROLLS, 'wide': WIDE, 'tall': TALL, 'lost': '<img src="no.png">'}
    for name, body in bodies.items():
        (tmp_path / f'{name}.html').write_text(PAGE.format(body))
    return tmp_path


def test_faults_are_named_and_pages_photographed(pages, tmp_path, capsys):
    out = tmp_path / 'out'
    words = ['--html', str(pages), '--out', str(out), '--widths', '390']
    assert look_at_docs.main(words) == 1
    said = capsys.readouterr().out
    assert 'wide at 390: div ends at 2000: wide' in said
    assert 'tall at 390: a cell of' in said
    assert 'lost at 390: no picture: ' in said
    assert 'fits at' not in said
    assert sorted(path.name for path in out.iterdir()) == [
        'fits_390.png',
        'lost_390.png',
        'tall_390.png',
        'wide_390.png',
    ]


def test_nothing_is_found_where_all_fits(pages, capsys):
    assert look_at_docs.main(['--html', str(pages), '--only', 'fits']) == 0
    assert '2 looks at 1 pages: no faults' in capsys.readouterr().out


def test_pages_that_were_not_built_are_refused(tmp_path, capsys):
    assert look_at_docs.main(['--html', str(tmp_path)]) == 2
    assert 'no page in' in capsys.readouterr().err
