"""What the documentation says is so: code, commands, tables and links."""

import ast
import doctest
import importlib
import inspect
import math
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS, DefaultScope

import dropblock_mm
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.config_files import config_path, fragment_names, resolve_config
from dropblock_mm.datasets import build_on_digit_images, build_on_digit_scenes
from dropblock_mm.hooks.fragments import find_fragment
from dropblock_mm.injection import (
    Target,
    detach_drop_block,
    inject_drop_block,
    inject_targets,
)
from dropblock_mm.injection.targets import options_of
from dropblock_mm.runs.prediction_file import PredictionFile

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted((ROOT / 'docs/en').glob('*.md'))
PAGES = [ROOT / 'README.md', *DOCS]
MARKDOWN = sorted({*PAGES, *ROOT.glob('[A-Z]*.md'), *ROOT.glob('configs/**/*.md')})
REFERENCE = ROOT / 'docs/en/config_reference.md'
GUIDE = ROOT / 'docs/en/guide.md'
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```', re.MULTILINE | re.DOTALL)
CHECKED_TOOLS = {
    f'tools/{path.relative_to(ROOT / "tools")}': command[1]
    for path in sorted(ROOT.glob('tools/**/*.py'))
    if (command := re.search(r'from (dropblock_mm\.commands\.\w+)', path.read_text()))
} | {'tools/dev/draw_masks.py': 'tools.dev.draw_masks'}


def name_of(value):
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


def blocks(language):
    """(page and number, text) of every code block in a language, as parameters."""
    found = [
        pytest.param(text, id=f'{name_of(page)}-{number}')
        for page in PAGES
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text()))
        if kind == language
    ]
    assert found
    return found


def python_blocks(kind):
    """Examples to run ('doctest'), configs ('config'), or other code ('code')."""
    return [block for block in blocks('python') if kind_of(block.values[0]) == kind]


def kind_of(text):
    if text.startswith('>>>'):
        return 'doctest'
    statements = ast.parse(text).body
    return 'config' if all(isinstance(s, ast.Assign) for s in statements) else 'code'


def commands():
    """Every command line of the shell blocks."""
    found = []
    for block in blocks('shell'):
        lines = block.values[0].replace('\\\n', ' ').splitlines()
        found += [line.partition('   #')[0].strip() for line in lines]
    return sorted({line for line in found if line})


def tool_commands():
    """(tool, arguments) of the commands that run a tool whose parser is checked."""
    found = []
    for line in commands():
        program, *words = shlex.split(line, comments=True)
        is_python = Path(program).name == 'python' and '[' not in line
        if is_python and words[0] in CHECKED_TOOLS:
            tool = CHECKED_TOOLS[words[0]]
            found.append(pytest.param(tool, words[1:], id=line))
    return found


@pytest.fixture(scope='module')
def retinanet():
    """mmdet's RetinaNet, on which targets are tried where there is no model."""
    pytest.importorskip('mmdet')
    name = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
    cfg = Config.fromfile(resolve_config(name)).model
    cfg.backbone.init_cfg = None
    return MODELS.build({**cfg, 'type': 'mmdet.RetinaNet', '_scope_': 'mmdet'})


@pytest.mark.parametrize('text', python_blocks('doctest'))
def test_examples_give_what_they_show(text):
    if 'mmdet' in text:
        pytest.importorskip('mmdet')
    example = doctest.DocTestParser().get_doctest(text, {}, 'example', None, 0)
    said = []
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, said


@pytest.mark.parametrize('text', python_blocks('code'))
def test_code_compiles_and_imports_what_exists(text):
    tree = ast.parse(text)
    imports = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    exec(compile(ast.Module(imports, []), 'block', 'exec'), {})


@pytest.mark.parametrize('text', python_blocks('config'))
def test_configs_build_their_hooks_and_find_their_targets(text, tmp_path, retinanet):
    def absolute(found):
        return repr(resolve_config(found[1]))

    path = tmp_path / 'config.py'
    # MMEngine looks the fork's mmseg up by a name that is not its own.
    path.write_text(re.sub(r"'(mm\w+::[^']+)'", absolute, text))
    cfg = Config.fromfile(str(path))
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
        hooks = [HOOKS.build(dict(hook)) for hook in cfg.get('custom_hooks', [])]
        if 'model' in cfg:
            model = build_on_meta(lambda: MODELS.build(cfg.model))
        else:
            model = retinanet
    for hook in hooks:
        if isinstance(hook, dropblock_mm.InjectionHook):
            sites = inject_targets(model, hook.targets)
            detach_drop_block(sites)
            assert sites
    if 'DropBlock2d' in text:
        plain = {**cfg.model.backbone, 'init_cfg': None, '_scope_': 'mmdet'}
        modules = MODELS.build({**plain, 'type': 'mmdet.ResNet'}).modules()
        assert any(isinstance(m, dropblock_mm.DropBlock2d) for m in modules)


def module_names():
    """The modules of the package whose docstrings hold examples."""
    found = pkgutil.walk_packages(dropblock_mm.__path__, 'dropblock_mm.')
    paths = {m.name: Path(m.module_finder.path, m.name.split('.')[-1]) for m in found}
    return [
        name
        for name, path in paths.items()
        if path.with_suffix('.py').is_file()
        and '>>>' in path.with_suffix('.py').read_text()
    ]


@pytest.mark.parametrize('name', module_names())
def test_examples_in_docstrings_give_what_they_show(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(('tool', 'words'), tool_commands())
def test_commands_have_arguments_that_exist(tool, words, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')  # the parser exports it
    args = importlib.import_module(tool).parse_args(words)
    config = getattr(args, 'config', 'CONFIG')
    if config != 'CONFIG':
        if '::' in config:
            pytest.importorskip(config.partition('::')[0])
        assert resolve_config(config if '::' in config else str(ROOT / config))
    fragment = getattr(args, 'dropblock', None)
    if fragment and 'path/to' not in fragment:
        assert find_fragment(fragment)


def spans():
    """What the pages set as code within their text."""
    texts = (BLOCK.sub('', page.read_text()) for page in MARKDOWN)
    return sorted({span for text in texts for span in re.findall(r'`([^`\n]+)`', text)})


def test_files_and_make_targets_that_are_named_exist():
    rules = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    own = ('tools/', 'configs/', 'requirements/', 'tests/', 'docs/', 'dropblock_mm/')
    for text in commands() + spans():
        for word in text.replace(',', ' ').split():
            is_ours = word.startswith(own) and '_build' not in word
            assert not is_ours or list(ROOT.glob(word)), text
        target = re.search(r'\bmake ([\w-]+)', text)
        assert target is None or target[1] in rules, text


def table(heading):
    """{argument: default} of the first table under a heading of the reference."""
    section = REFERENCE.read_text().partition(f'\n## {heading}\n')[2]
    rows = re.findall(
        r'^\| `(\w+)` \| (.*?) \|', section.partition('\n## ')[0], re.MULTILINE
    )
    return {name: default.strip('`') for name, default in rows}


@pytest.mark.parametrize(
    ('name', 'thing'),
    [
        ('DropBlockInjectionHook', dropblock_mm.DropBlockInjectionHook),
        ('InjectionHook', dropblock_mm.InjectionHook),
        ('KeepProbScheduleHook', dropblock_mm.KeepProbScheduleHook),
        ('DropBlock2d', dropblock_mm.DropBlock2d),
        ('Dropout, SpatialDropout, DropPath', dropblock_mm.Dropout),
        ('Dropout, SpatialDropout, DropPath', dropblock_mm.SpatialDropout),
        ('Dropout, SpatialDropout, DropPath', dropblock_mm.DropPath),
        ('DigitScenes', build_on_digit_scenes),
        ('DigitImages', build_on_digit_images),
        ('PredictionFile', PredictionFile),
    ],
)
def test_the_reference_has_every_argument_and_its_default(name, thing):
    assert table(name) == {
        p.name: 'required' if p.default is p.empty else repr(p.default)
        for p in inspect.signature(thing).parameters.values()
        if p.kind is not p.VAR_KEYWORD
    }


def test_the_reference_has_every_key_of_a_target():
    own = set(inspect.signature(Target).parameters) - {'key', 'options'}
    assert set(table('Target')) == own | set(options_of(dropblock_mm.DropBlock2d))


def test_the_reference_has_every_fragment_as_it_is():
    rows = table('Fragments')
    assert sorted(rows) == fragment_names()
    for name, where in rows.items():
        cfg = Config.fromfile(config_path(f'_base_/dropblock/{name}.py'))
        targets = cfg.custom_hooks[0]['targets']
        for target in [] if targets == 'auto' else targets:
            assert f'`{target["module"]}`' in f'`{where}`'


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_the_reference_has_every_option(tool, load_tool, capsys):
    with pytest.raises(SystemExit):
        load_tool(tool).parse_args(['--help'])
    options = set(re.findall(r'--[a-z-]+', capsys.readouterr().out))
    options -= {'--help', '--local-rank', '--local'}  # of which torch's launchers know
    assert {'--cfg-options', '--launcher', '--work-dir'} < options
    assert options <= set(re.findall(r'--[a-z-]+', REFERENCE.read_text()))


def test_the_guides_patterns_find_modules(retinanet):
    text = GUIDE.read_text().partition('### Naming modules')[2].partition('\n### ')[0]
    patterns = re.findall(r"^\| `(r?'.*?')` \|", text, re.MULTILINE)
    assert patterns
    for pattern in patterns:
        module = ast.literal_eval(pattern.replace(r'\|', '|'))
        sites = inject_drop_block(retinanet, [dict(module=module)], keep_prob=0.9)
        detach_drop_block(sites)
        assert sites


def test_the_report_is_the_one_that_is_logged(retinanet):
    text = (ROOT / 'docs/en/get_started.md').read_text()
    shown = text.partition('```text\nDropBlock at')[2].partition('\n  ...\n```')[0]
    title, _, header, _, *rows = shown.splitlines()
    fragment = Config.fromfile(config_path('_base_/dropblock/resnet_c4c5.py'))
    hook = HOOKS.build(dict(fragment.custom_hooks[0]))
    sites = inject_targets(retinanet, hook.targets)
    detach_drop_block(sites)
    assert title.startswith(f' {len(sites)} sites: keep_prob 1 -> 0.9, linear, ')
    assert header.split() == [
        *('module', 'place', 'block_size', 'gamma_scale', 'map', 'gamma', 'keeps'),
        'options',
    ]
    for site, row in zip(sites, rows, strict=False):
        path, place, block, scale, *size, gamma, keeps = row.replace(' x ', ' ').split()
        assert (path, place) == (site.module, site.place.name)
        layer, sides = site.layer, tuple(map(int, size[1:]))
        assert (int(block), float(scale)) == (layer.block_size, layer.gamma_scale)
        assert f'{layer.facts(0.9, sides)["gamma"]:.3g}' == gamma
        assert f'{layer.expected_keep_rate(0.9, sides):.4f}' == keeps


def test_the_readme_quotes_the_benchmark_as_it_is():
    benchmark = (ROOT / 'docs/en/benchmark.md').read_text()
    peers = re.findall(
        r'torchvision drop_block2d +\| dropblock_mm .*\| ([\d.]+)x faster', benchmark
    )
    row = re.search(
        r'dropblock_mm, 36 sites .*\| (\S+) \((\S+) to (\S+)\) +\|$', benchmark, re.M
    )
    least, most = min(map(float, peers)), max(map(float, peers))
    added, low, high = (f'{float(number):+.1f}' for number in row.groups())
    readme = (ROOT / 'README.md').read_text()
    assert f'| {math.floor(least)} to {math.floor(most)} times that of torch' in readme
    assert f'| {added} % time (quartiles {low} and {high} %) and no memory' in readme


def test_every_public_name_is_on_the_api_page():
    text = (ROOT / 'docs/en/api.md').read_text()
    for name in set(dropblock_mm.__all__) - {'__version__'}:
        assert re.search(rf'auto(function|class):: {name}$', text, re.MULTILINE), name


def anchors(page):
    """The anchors of a page's headings, as GitHub and Sphinx make them."""
    text = BLOCK.sub('', page.read_text())
    titles = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    kept = [re.sub(r'[^\w\- ]', '', title.lower()) for title in titles]
    return {title.replace(' ', '-') for title in kept}


@pytest.mark.parametrize('page', MARKDOWN, ids=name_of)
def test_links_lead_somewhere(page):
    text = BLOCK.sub('', page.read_text())
    for link in re.findall(r"""(?:\]\(|src=")([^)"\s]+)""", text):
        if '://' in link:
            continue
        name, _, anchor = link.partition('#')
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize('page', DOCS, ids=name_of)
def test_every_page_is_in_the_table_of_contents(page):
    index = (ROOT / 'docs/en/index.md').read_text()
    assert page.stem == 'index' or re.search(rf'^{page.stem}$', index, re.MULTILINE)
