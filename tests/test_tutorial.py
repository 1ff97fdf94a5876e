"""The page that runs when it is built, and the directive that runs it."""

import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from dropblock_mm.programs import module_of

pytest.importorskip('sphinx', reason='the docs extra is not installed')

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs/en/tutorial.md'
CONF = """extensions = ['myst_parser', 'cells']
source_suffix = {'.md': 'markdown'}
exclude_patterns = ['_build']
"""
INDEX = """# Title

```{cell}
printf 'reading\\r\\033[1mread\\033[0m\\n'; echo "in $PWD/here"
echo run >> ../../../times; touch left.txt
```

Next.

```{cell}
:tail: 2
:picture: dot.png
:alt: A dot
:download: left.txt
seq 5
python -c "from PIL import Image; Image.new('RGB', (2, 2)).save('dot.png')"
```
"""


@pytest.fixture
def cells(monkeypatch):
    path = ROOT / 'docs/extensions/cells.py'
    spec = importlib.util.spec_from_file_location('cells', path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, 'cells', module)  # where Sphinx looks first
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def build(cells, tmp_path):
    """A function that builds a page, and returns what became of it."""
    (tmp_path / 'conf.py').write_text(CONF)

    def run(text):
        page = tmp_path / 'index.md'
        if not page.exists() or page.read_text() != text:
            page.write_text(text)
        out = tmp_path / 'out'
        app = Sphinx(tmp_path, tmp_path, out, out / 'trees', 'html', status=None)
        app.build()
        return app.env.get_doctree('index')

    return run


def test_a_cell_shows_what_it_printed_and_left(build, tmp_path):
    tree = build(INDEX)
    blocks = [node.astext() for node in tree.findall(nodes.literal_block)]
    assert blocks[1] == 'read\nin here'
    assert blocks[3] == '4\n5'
    (picture,) = tree.findall(nodes.image)
    assert isinstance(picture.parent, nodes.paragraph)  # which scrolls on a phone
    assert picture['alt'] == 'A dot'
    page = (tmp_path / 'out/index.html').read_text()
    assert '_images/dot.png' in page
    (download,) = re.findall(r'href="(_downloads/[^"]+left\.txt)"', page)
    assert (tmp_path / 'out' / download).is_file()
    assert (tmp_path / 'out/_images/dot.png').is_file()


def test_a_page_that_did_not_change_runs_once(build, tmp_path):
    times = tmp_path / 'times'
    for _ in range(2):
        build(INDEX)
        assert times.read_text() == 'run\n'
    build(f'{INDEX}\nMore.\n')
    assert times.read_text() == 'run\nrun\n'
    assert not list(tmp_path.glob('_build/cells/index/_build'))


@pytest.mark.parametrize(
    ('cell', 'said'),
    [
        (
            'echo before\nfalse\necho behind',
            r'index:\d+ ended with status 1:\s+before$',
        ),
        ('cat nothing | sort', r'ended with status 1:\s+cat: nothing'),
        (':picture: a.png\ntrue', r"left no 'a\.png'"),
    ],
)
def test_a_cell_that_fails_fails_the_build(build, cell, said):
    with pytest.raises(ExtensionError) as failed:
        build(f'# Title\n\n```{{cell}}\n{cell}\n```\n')
    assert re.search(said, str(failed.value).strip())


def test_a_cell_that_takes_too_long_is_ended_with_what_it_started(
    cells, tmp_path, monkeypatch
):
    monkeypatch.setattr(cells, 'SECONDS', 1)
    script = f"trap 'echo ended > {tmp_path}/told; exit 1' TERM; sleep 100 & wait"
    with pytest.raises(ExtensionError, match='cell here took over 1 s'):
        cells.run_script(script, tmp_path, 'here')
    assert (tmp_path / 'told').read_text() == 'ended\n'


def cells_of_page():
    return re.findall(r'^```\{cell\}\n(.*?)^```', PAGE.read_text(), re.M | re.S)


def commands_of_page():
    lines = '\n'.join(cells_of_page()).replace('\\\n', ' ').splitlines()
    found = [line for line in lines if line.startswith('python -m dropblock_mm')]
    return [re.split(r' 2>&1| \|', line)[0] for line in found]


@pytest.mark.parametrize('line', commands_of_page())
def test_its_commands_have_arguments_that_exist(line):
    _, _, _, name, *words = shlex.split(line)
    assert importlib.import_module(module_of(name)).parse_args(words)


def test_it_goes_all_the_way():
    names = [shlex.split(line)[3] for line in commands_of_page()]
    expected = ['check-dataset', 'print-sites', 'train', 'compare', 'activation-maps']
    assert names == [*expected, 'report']


def test_its_config_and_its_images_belong_together(tmp_path, cells):
    """The first cells run here; all of them in the build of the docs."""
    script = '\n'.join(cells_of_page()[:2]).replace('python -m', ': python -m')
    cells.run_script(script, tmp_path, 'page')
    counts = [len(list(tmp_path.glob(f'images/{n}/*/*.png'))) for n in ('train', 'val')]
    assert counts == [750, 150]
    assert (tmp_path / 'my_config.py').is_file()


@pytest.mark.nightly
def test_the_page_runs(cells, tmp_path):
    source = tmp_path / 'docs'
    source.mkdir()
    (source / 'conf.py').write_text(CONF)
    shutil.copy(PAGE, source / 'index.md')
    out = tmp_path / 'out'
    Sphinx(source, source, out, out / 'trees', 'html', status=None).build()
    page = (out / 'index.html').read_text()
    assert 'Undecided' in page or 'higher' in page or 'lower' in page
    assert '0 errors' in page
    assert next(out.glob('_downloads/*/report.html')).stat().st_size < 8e6
