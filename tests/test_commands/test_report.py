"""The command report: one file, which Chromium shows without a complaint."""

import html
import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable, write_record
from dropblock_mm.testing.training_logs import made_up_rows, write_log

# A page around the report, of a phone's width: Chromium's own windows are wider.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="inner" style="border:0;width:{width}px;height:900px" srcdoc="{page}">
</iframe><p id="told"></p><script>
onload = () => {{
  const page = document.getElementById('inner').contentDocument.documentElement;
  const wide = [...page.querySelectorAll('body *')].filter(
    (e) => !e.closest('.wide') && e.getBoundingClientRect().right > {width} + 0.5);
  const pictures = [...page.querySelectorAll('img')].map((e) => e.clientWidth);
  document.getElementById('told').textContent = JSON.stringify(
    [page.clientWidth, page.scrollWidth, wide.map((e) => e.outerHTML.slice(0, 80)),
     Math.max(...pictures)]);
}};
</script>"""


@pytest.fixture
def work_dir(tmp_path):
    """A run with a picture, and names that are long and need escaping."""
    run = tmp_path / 'work' / 'a_run_with_a_name_that_is_longer_than_a_phone_<b>'
    write_log(run, '20200131_235959', made_up_rows())
    config = "model = dict(type='R&D', backbone=dict(type='" + 40 * 'Net' + "'))\n"
    (run / 'config.py').write_text(config)
    Image.new('RGB', (2000, 100)).save(run / 'masks.png')
    headings = [f'heading {number}' for number in range(12)]
    rows = [[f'{number}.123456' for number in range(12)]] * 3
    tables = [
        NumberTable('wide', headings, rows),
        NumberTable('two', *[['a', 'b'], []]),
    ]
    command = 'python -m dropblock_mm ' + 'very-long/' * 40
    alt = 'Masks that keep 0.9'
    record = FigureRecord('masks', 'Masks', 'masks.png', alt, tables, ['n'], command)
    write_record(record, run / 'masks.png')
    return run.parent


def test_it_writes_one_page(load_tool, work_dir, capsys):
    load_tool('report').main([str(work_dir)])
    said, told = capsys.readouterr()
    assert '1/1' in told
    assert re.fullmatch(r'wrote .*report\.html \(0\.\d MB, 2 things missing\)\n', said)
    text = (work_dir / 'report.html').read_text()
    assert text.startswith('<!DOCTYPE html>')
    assert 'Masks that keep 0.9' in text
    assert 'python tools/analysis_tools/report.py' in text


def test_an_empty_folder_is_refused(refused, tmp_path):
    assert 'holds no run' in refused('report', str(tmp_path))
    assert not (tmp_path / 'report.html').exists()


@pytest.fixture
def chromium(tmp_path):
    """A function that runs Chromium without a window, and returns what it wrote."""
    program = shutil.which('chromium') or shutil.which('chromium-browser')
    if program is None:
        pytest.skip('no chromium on the PATH to open the page with')

    def run(page, *options):
        done = subprocess.run(
            [
                program,
                '--headless',
                '--no-sandbox',
                '--disable-gpu',
                '--host-resolver-rules=MAP * ~NOTFOUND',
                '--enable-logging=stderr',
                '--virtual-time-budget=2000',
                f'--user-data-dir={tmp_path / "profile"}',
                f'--log-net-log={tmp_path / "net.json"}',
                *options,
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout, done.stderr

    return run


def requests(tmp_path):
    """The addresses that a page asked for over a network; the browser has its own."""
    log = (tmp_path / 'net.json').read_text()
    asked = re.findall(r'"initiator":"([^"]+)".*?"url":"(\w+://[^"]+)"', log)
    return {
        url
        for origin, url in asked
        if origin != 'not an origin' and not url.startswith('file:')
    }


def test_a_browser_shows_it_at_both_widths(load_tool, work_dir, tmp_path, chromium):
    load_tool('report').main([str(work_dir)])
    page = html.escape((work_dir / 'report.html').read_text())
    for width in (390, 1400):
        frame = tmp_path / f'{width}.html'
        frame.write_text(FRAME.format(width=width, page=page))
        shown, said = chromium(frame, '--dump-dom')
        client, scroll, wide, picture = json.loads(
            html.unescape(re.search(r'id="told">(.*?)</p>', shown)[1])
        )
        assert 0.9 * width < client <= width
        assert 700 < picture < 1400  # on a phone it is scrolled, and can be read
        assert scroll <= client, 'the page is wider than the window'
        assert wide == []
        assert 'CONSOLE' not in said
        assert requests(tmp_path) == set()


def test_the_browsers_test_sees_what_it_looks_for(tmp_path, chromium):
    page = html.escape(
        '<div style="width:2000px">x</div><img src="http://127.0.0.1:9/a.png">'
        '<script>console.error("oh")</script>'
    )
    frame = tmp_path / 'frame.html'
    frame.write_text(FRAME.format(width=390, page=page))
    shown, said = chromium(frame, '--dump-dom')
    client, scroll, wide, _ = json.loads(
        html.unescape(re.search(r'id="told">(.*?)</p>', shown)[1])
    )
    assert scroll > client
    assert len(wide) >= 1
    assert 'CONSOLE' in said
    assert requests(tmp_path) == {'http://127.0.0.1:9/a.png'}
