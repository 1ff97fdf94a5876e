"""The page says what there is, and what is missing; all of it escaped."""

import json
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from dropblock_mm.analysis.figures.record import (
    FigureRecord,
    NumberTable,
    write_record,
)
from dropblock_mm.analysis.html_report import curves
from dropblock_mm.analysis.html_report.build import build_page, count_runs
from dropblock_mm.analysis.html_report.page import render
from dropblock_mm.errors import RefusedFileError
from dropblock_mm.testing.training_logs import made_up_rows

EVIL = '</title><script>alert(1)</script>&"\''


pytestmark = pytest.mark.usefixtures('cheap_pictures')


def page_of(*paths):
    return build_page(paths, 'Report', {'written': 'now'})


def section_of(path):
    (section,) = page_of(path).sections
    return section


@pytest.fixture
def picture(tmp_path):
    """A function that writes a picture and its record."""

    def make(folder, title='Masks', kind='masks'):
        folder.mkdir(exist_ok=True)
        Figure(figsize=(1, 1)).savefig(folder / 'masks.png')
        table = NumberTable('kept', ['site', 'share'], [['a', '0.9'], [title, '0.8']])
        record = FigureRecord(kind, title, 'masks.png', f'{title} keep 0.9', [table])
        return write_record(record, folder / 'masks.png')

    return make


def test_a_finished_run_lacks_nothing(run_folder):
    section = section_of(run_folder())
    assert section.missing == []
    assert section.facts['model'] == 'RetinaNet, ResNet-18'
    assert section.facts['data'] == 'CocoDataset in data/<scenes>/'
    assert section.facts['trained'] == '3 of 3 epochs'
    assert section.facts['seed'] == '7'
    assert section.facts['optimizer'] == 'AdamW at 0.002'
    assert 'backbone.layer3, backbone.layer4' in section.facts['DropBlock']
    assert section.environment['PyTorch'] == '2.14.1'
    (curves,) = section.pictures
    assert 'coco/bbox_mAP ends at 0.6' in curves.alt
    assert [row[-1] for row in curves.tables[0].rows] == ['0.2', '0.4', '0.6']


def test_runs_are_sorted_by_their_metric_and_drawn_together(run_folder):
    worse = [
        {k: v / 2 if k == 'coco/bbox_mAP' else v for k, v in row.items()}
        for row in made_up_rows()
    ]
    page = page_of(run_folder('worse', worse), run_folder('better'))
    (table,) = page.summary
    assert [row[0] for row in table.rows] == ['better', 'worse']
    assert (table.headings[table.sorted_by], table.descending) == ('at the end', True)
    (compared,) = page.pictures
    assert 'worse 0.3, better 0.6' in compared.alt


def test_runs_on_other_data_are_not_compared(run_folder):
    folders = [run_folder(name) for name in ('a', 'b', 'other', 'unknown')]
    config = folders[2] / 'config.py'
    config.write_text(config.read_text().replace('<scenes>', 'cars'))
    (folders[3] / 'config.py').unlink()
    page = page_of(*folders)
    scenes, cars, unknown = page.summary
    assert [row[0] for row in scenes.rows] == ['a', 'b']
    assert scenes.caption == 'Runs by coco/bbox_mAP on CocoDataset in data/<scenes>/'
    assert cars.caption == 'Runs by coco/bbox_mAP on CocoDataset in data/cars/'
    assert unknown.caption.endswith('on data that are not known')
    (compared,) = page.pictures
    assert compared.title == 'coco/bbox_mAP of 2 runs'
    assert compared.notes[1:] == [
        'Not drawn, for it was evaluated on other data: other (CocoDataset in '
        'data/cars/).',
        'Not drawn, for it was evaluated on other data: unknown (not known).',
    ]
    assert page_of(folders[0], folders[2]).pictures == []


def test_runs_are_told_apart_by_what_they_are_evaluated_on(run_folder):
    more = run_folder('more_to_train_on')
    config = more / 'config.py'
    config.write_text(
        config.read_text().replace('<scenes>', 'more')
        + "val_dataloader = dict(dataset=dict(data_root='data/<scenes>/',\n"
        "                                    type='mmdet.CocoDataset'))\n"
    )
    assert len(page_of(run_folder('less'), more).summary) == 1


def test_a_folder_stands_there_once(run_folder):
    run = run_folder('a')
    for paths in ([run, run.parent], [run.parent, run], [run, run]):
        runs = [s for s in page_of(*paths).sections if s.kind == 'run']
        assert len(runs) == 1
        assert count_runs(paths) == 1


def test_a_folder_at_the_greatest_depth_can_be_named_too(run_folder, tmp_path):
    deep = tmp_path / 'top/one/two'
    deep.mkdir(parents=True)
    run_folder('a').rename(deep / 'a')
    run_folder('b').rename(deep.parent / 'b')
    paths = tmp_path / 'top', deep
    assert [s.kind for s in page_of(*paths).sections].count('run') == 2
    assert count_runs(paths) == 2


def break_config(run):
    (run / 'config.py').write_text('model = dict(')


def remove_config(run):
    (run / 'config.py').unlink()


def cut_log(run):
    path = next(run.glob('*/vis_data/scalars.json'))
    path.write_text(path.read_text()[:-10])


def spoil_log(run):
    next(run.glob('*/vis_data/scalars.json')).write_text('[1]\n"a"\n')


def remove_log(run):
    next(run.glob('*/vis_data/scalars.json')).unlink()


def stop_early(run):
    path = next(run.glob('*/vis_data/scalars.json'))
    path.write_text('\n'.join(path.read_text().splitlines()[:6]))


def never_evaluate(run):
    path = next(run.glob('*/vis_data/scalars.json'))
    lines = [line for line in path.read_text().splitlines() if 'mAP' not in line]
    path.write_text('\n'.join(lines))


def log_no_numbers(run):
    path = next(run.glob('*/vis_data/scalars.json'))
    row = {'loss': [1, 2], 'iter': 1, 'step': 1, 'epoch': 3}
    path.write_text(json.dumps(row) + '\n')


def cut_checkpoint(run):
    (run / 'epoch_3.pth').write_bytes(b'PK')


def remove_checkpoint(run):
    (run / 'epoch_3.pth').unlink()


def forget_machine(run):
    next(run.glob('*/*.log')).unlink()


def spoil_attempts(run):
    (run / 'attempts.json').write_text('[{"command": 1}]')


@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (break_config, 'The config config.py cannot be read'),
        (remove_config, 'No config (*.py)'),
        (cut_log, 'The log 20200131_235959 is cut short.'),
        (spoil_log, 'The log cannot be read'),
        (remove_log, 'No log (*/vis_data/scalars.json)'),
        (stop_early, 'The training is not finished: 2 of 3 epochs.'),
        (never_evaluate, 'No evaluation in the log'),
        (log_no_numbers, 'The curves could not be drawn'),
        (cut_checkpoint, 'Damaged or cut short: epoch_3.pth.'),
        (remove_checkpoint, 'No checkpoint (*.pth)'),
        (forget_machine, 'No log of the machine'),
        (spoil_attempts, 'attempts.json cannot be read'),
    ],
    ids=lambda value: getattr(value, '__name__', None),
)
def test_what_is_missing_is_said(run_folder, read, spoil, said):
    run = run_folder()
    spoil(run)
    text = read(render(page_of(run))).text
    assert said in text


def test_pictures_of_a_run_are_taken_in_with_their_numbers(run_folder, picture, read):
    run = run_folder()
    picture(run)
    found = read(render(page_of(run)))
    assert [p['alt'] for p in found.pictures][1:] == ['Masks keep 0.9']
    assert all(p['src'].startswith('data:image/') for p in found.pictures)


@pytest.mark.parametrize(
    ('size', 'shape'), [((2, 1), 'wide across'), ((1, 2), 'tall'), ((1, 1.1), None)]
)
def test_a_picture_has_room_by_its_shape(tmp_path, picture, read, size, shape):
    record = picture(tmp_path / 'figures')
    Figure(figsize=size).savefig(record.with_name('masks.png'))
    found = read(render(page_of(tmp_path / 'figures'))).tags_of('div')
    shapes = [div.get('class') for div in found]
    assert [s for s in shapes if s in ('wide across', 'tall')] == [shape] * bool(shape)


def test_a_dot_at_the_top_is_not_cut(run_folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(curves, 'png', lambda figure: drawn.append(figure) or b'PNG')
    monkeypatch.setattr(curves, 'training_picture', lambda run: None)
    page_of(run_folder('one'), run_folder('other'))
    panel = drawn[-1].axes[0]
    assert panel.get_ylim() == pytest.approx((0, 1.05 * 0.6))


def test_a_table_of_long_lines_is_read_in_cards_on_a_phone(tmp_path, read):
    long = {f'pascal_voc/AP{at}': 70.0 for at in range(50, 95, 5)}
    runs = [{'arm': 'none', 'seed': 0, 'state': 'finished', 'metrics': long}]
    (tmp_path / 'compare.json').write_text(json.dumps(COMPARISON | {'runs': runs}))
    assert len(section_of(tmp_path).tables[1].headings) == 4
    tables = read(render(page_of(tmp_path))).tags_of('table')
    assert [table.get('class') for table in tables] == ['cards', 'cards']
    (tmp_path / 'compare.json').write_text(json.dumps(COMPARISON))
    tables = read(render(page_of(tmp_path))).tags_of('table')
    assert [table.get('class') for table in tables] == ['cards', None]


def test_the_figure_of_a_series_is_wide_or_no_picture(tmp_path, read):
    (tmp_path / 'compare.json').write_text(json.dumps(COMPARISON))
    picture = tmp_path / 'compare.png'
    Figure(figsize=(3, 1)).savefig(picture)
    classes = [d.get('class') for d in read(render(page_of(tmp_path))).tags_of('div')]
    assert 'wide across' in classes
    picture.write_bytes(picture.read_bytes()[:20])  # half written
    section = section_of(tmp_path)
    assert section.pictures == []
    assert 'compare.png is no picture.' in section.missing


def test_a_folder_of_pictures_is_a_section(tmp_path, picture):
    picture(tmp_path / 'figures')
    section = section_of(tmp_path / 'figures')
    assert (section.kind, len(section.pictures)) == ('pictures', 1)


@pytest.mark.parametrize(
    ('spoilt', 'told'),
    [
        ('record', ''),
        ('no picture', 'is not there'),
        ('picture', 'cannot be read'),
    ],
)
def test_spoilt_records_are_said(run_folder, picture, spoilt, told):
    run = run_folder()
    record = picture(run)
    if spoilt == 'record':
        record.write_text(record.read_text()[:-30])
    elif spoilt == 'no picture':
        (run / 'masks.png').unlink()
    else:
        (run / 'masks.png').write_bytes(b'no picture')
    (said,) = section_of(run).missing
    assert 'masks.json' in said
    assert told in said


def test_a_record_names_no_file_outside_its_folder(run_folder, picture, tmp_path):
    run = run_folder()
    record = picture(run)
    (tmp_path / 'secret.png').write_bytes(b'secret')
    content = json.loads(record.read_text()) | {'picture': '../secret.png'}
    record.write_text(json.dumps(content))
    assert all(b'secret' not in p.data for p in section_of(run).pictures)


def test_names_and_texts_are_escaped(run_folder, picture, read):
    run = run_folder('a <b> & "c"')
    config = run / 'config.py'
    config.write_text(config.read_text().replace('RetinaNet', '<script>x</script>'))
    picture(run, EVIL)
    page = build_page([run], EVIL, {EVIL: EVIL})
    found = read(render(page))
    assert 'script' not in found.tags
    assert EVIL in found.text
    assert '<script>x</script>' in found.text
    assert 'a <b> & "c"' in found.text


def test_the_page_asks_for_nothing(run_folder, read):
    found = read(render(page_of(run_folder())))
    assert found.addresses
    assert all(a.startswith(('data:', '#')) for a in found.addresses)
    assert all(p['alt'] for p in found.pictures)


def test_a_checkpoint_is_described(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    meta = {'epoch': 1, 'dataset_meta': {'classes': ('cat', 'dog')}}
    torch.save({'state_dict': {'w': torch.zeros(3, 4)}, 'meta': meta}, path)
    section = section_of(path)
    assert section.facts['numbers in them'] == '12'
    assert section.facts['classes'] == '2: cat, dog'
    path.write_bytes(path.read_bytes()[:100])
    (said,) = section_of(path).missing
    assert 'damaged' in said


SERIES = {
    'schema': 1,
    'table': 'table3',
    'paper': 'Table 3',
    'smoke': True,
    'command': 'reproduce table3',
    'environment': {'PyTorch': '2.14.1'},
    'rows': [
        {
            'name': 'plain',
            'title': 'RetinaNet',
            'paper': {'AP': 36.8},
            'measured': {},
        },
        {
            'name': 'dropped',
            'title': 'with DropBlock',
            'paper': {'AP': 38.3},
            'measured': {
                'AP': {'mean': 38, 'standard_deviation': 0.25, 'values': [37.8, 38.2]}
            },
        },
    ],
    'runs': [
        {
            'row': 'dropped',
            'seed': 0,
            'state': 'finished',
            'metrics': {'AP': 37.8},
            'effective_keep_rate': 0.93,
        },
        {
            'row': 'plain',
            'seed': 0,
            'state': 'interrupted',
            'metrics': {},
            'effective_keep_rate': None,
        },
    ],
}


def test_a_series_has_the_papers_numbers_beside_its_own(tmp_path, read):
    (tmp_path / 'table3.json').write_text(json.dumps(SERIES))
    (tmp_path / 'other.json').write_text('{')
    section = section_of(tmp_path)
    table, runs = section.tables
    assert table.headings == ['row', 'model', 'AP, paper', 'AP, measured', 'seeds']
    assert table.rows == [
        ['dropped', 'with DropBlock', '38.3', '38.0 ± 0.2', '2'],
        ['plain', 'RetinaNet', '36.8', '', '0'],
    ]
    assert runs.rows[0] == ['dropped, seed 0', 'finished', 'AP 37.80', '0.930']
    assert 'plain, seed 0 is interrupted.' in section.missing
    assert '2.14.1' in read(render(page_of(tmp_path))).text


COMPARISON = {
    'schema': 1,
    'metric': 'AP',
    'command': 'compare config.py',
    'sentences': ['Undecided: dropped minus none is +0.40 in AP.'],
    'arms': [
        {
            'name': 'none',
            'mean': 30.0,
            'standard_deviation': 0.5,
            'values': {'0': 29.5, '1': 30.5},
            'gap': None,
        },
        {
            'name': 'dropped',
            'mean': 30.4,
            'standard_deviation': None,
            'values': {'0': 30.4},
            'gap': 1.5,
            'difference': {'mean': 0.4, 'paired_t': [-1, 1.8], 'bootstrap': None},
        },
    ],
    'failed': [{'run': 'dropped, seed 1', 'how': 'status 1'}],
    'runs': [{'arm': 'none', 'seed': 0, 'state': 'finished', 'metrics': {'AP': 29.5}}],
}


def test_a_comparison_has_its_sentences_intervals_and_figure(tmp_path, read):
    (tmp_path / 'compare.json').write_text(json.dumps(COMPARISON))
    Figure(figsize=(1, 1)).savefig(tmp_path / 'compare.png')
    section = section_of(tmp_path)
    table, runs = section.tables
    assert table.rows == [
        ['dropped', '30.40', '', '+0.40', '-1.00 to +1.80', '', '1.50', '0'],
        ['none', '30.00', '0.50', '', '', '', '', '0, 1'],
    ]
    assert runs.rows == [['none, seed 0', 'finished', 'AP 29.50', '']]
    assert section.missing == ['dropped, seed 1 failed: status 1.']
    found = read(render(page_of(tmp_path)))
    assert 'Undecided: dropped minus none is +0.40' in found.pictures[0]['alt']
    assert found.text.count('Undecided:') == 2, 'as a sentence, and below the picture'


def test_a_sweep_has_its_points(tmp_path):
    points = [{'name': 'kp0.8', 'mean': 1.0}, {'name': 'kp0.9', 'mean': 2.0}]
    content = {'schema': 1, 'metric': 'AP', 'points': points, 'runs': []}
    (tmp_path / 'sweep.json').write_text(json.dumps(content))
    (table,) = section_of(tmp_path).tables
    assert [row[:2] for row in table.rows] == [['kp0.9', '2.00'], ['kp0.8', '1.00']]


def test_a_spoilt_series_is_said(tmp_path):
    (tmp_path / 'table3.json').write_text(json.dumps(SERIES | {'rows': [{}]}))
    assert any('not as expected' in said for said in section_of(tmp_path).missing)


@pytest.mark.parametrize('name', ['absent', 'empty'])
def test_there_must_be_something(tmp_path, run_folder, name):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(RefusedFileError, match=name):
        page_of(run_folder(), tmp_path / name)


def test_numbers_sort_as_numbers_and_words_last():
    table = NumberTable('t', ['a'], [['9 %'], ['none'], ['10 ± 2'], ['-1']])
    assert [r[0] for r in table.sorted(0).rows] == ['-1', '9 %', '10 ± 2', 'none']
    down = table.sorted(0, descending=True)
    assert [r[0] for r in down.rows] == ['10 ± 2', '9 %', '-1', 'none']


def test_the_template_is_beside_its_module():
    from dropblock_mm.analysis.html_report import page

    assert Path(page.__file__).parent == page.TEMPLATE.parent
    assert page.TEMPLATE.is_file()
