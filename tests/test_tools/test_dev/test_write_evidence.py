"""The page of evidence and the results that it is made from."""

import json

import pytest

from dropblock_mm.analysis.activation_maps.spread import MEASURES
from tools.dev import write_evidence
from tools.dev.evidence_pictures import draw


def run(arm, seed, value, **changes):
    """A finished run as compare.json tells it."""
    attempt = dict(
        command='python tools/train.py /secret/none.py',
        commit='abc',
        started='2020-01-01T00:00:00+00:00',
        ended='2020-01-01T00:10:00+00:00',
    )
    return dict(
        arm=arm,
        seed=seed,
        state='finished',
        metrics={'accuracy/top1': value, 'accuracy/top5': 99.0},
        on_training={'accuracy/top1': 100.0},
        effective_keep_rate=None if arm == 'none' else 0.9,
        images_seen=dict(iterations=1, images=2, pixels=3, resumed=False),
        config='/secret/none.py',
        work_dir='/secret',
        attempts=[attempt, {**attempt, 'ended': '2020-01-01T00:20:00+00:00'}],
        **changes,
    )


@pytest.fixture
def compared():
    """Three arms and three seeds, one of them not trained to its end."""
    values = {'none': (60, 62, 64), 'block': (62.0, 63.9, 66.1), 'unit': (61, 63, 62)}
    runs = [
        run(arm, seed, value)
        for arm, given in values.items()
        for seed, value in enumerate(given)
    ]
    runs.append({**run('none', 3, 1.0), 'state': 'interrupted'})
    environment = dict(PyTorch='2.14.1', mmcv='2.1.0', GCC='/secret')
    return dict(
        command='python tools/compare.py CONFIG',
        metric='accuracy/top1',
        environment=environment,
        runs=runs,
    )


def test_what_is_kept_names_no_places_and_no_machine(compared):
    kept = write_evidence.trimmed(compared)
    assert 'secret' not in json.dumps(kept)
    assert kept['libraries'] == dict(PyTorch='2.14.1', mmcv='2.1.0')
    assert len(kept['runs']) == 9, 'finished ones'
    assert kept['runs'][0]['seconds'] == 1800, 'both attempts'


@pytest.fixture
def page(compared, tmp_path, monkeypatch):
    """The page with a study's numbers."""
    (tmp_path / 'small.json').write_text(json.dumps(write_evidence.trimmed(compared)))
    monkeypatch.setattr(write_evidence, 'FOLDER', tmp_path)
    return write_evidence.filled(
        'Above.\n<!-- evidence small: begin -->\nstale text\n'
        '<!-- evidence small: end -->\nBelow.'
    )


def test_a_study_is_written_between_its_marks(page):
    assert page.startswith('Above.\n<!-- evidence small: begin -->\n')
    assert page.endswith('<!-- evidence small: end -->\nBelow.')
    assert 'stale text' not in page
    assert write_evidence.filled(page) == page


def test_all_pairs_of_arms_are_compared(page):
    lines = [line.split('|')[1:-1] for line in page.splitlines() if ' - ' in line]
    pairs = {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}
    assert {'block - none', 'unit - none', 'unit - block'} <= pairs.keys()
    mean, interval, _, outcome, seen = pairs['block - none']
    assert (mean, outcome) == ('+2.00', 'higher')
    assert interval == '+1.75 to +2.25'  # 2 +- 4.303 * 0.1 / sqrt(3)
    assert float(seen) < 0.5
    assert pairs['unit - block'][0] == '-2.00'


def test_the_cost_is_told(page):
    assert '9 trainings, 4.5 hours of one CPU core' in page
    assert 'in the last epoch: block 0.900, unit 0.900.' in page


@pytest.mark.parametrize('path', [write_evidence.PAGE, write_evidence.README])
def test_the_pages_have_the_numbers_of_the_results(path):
    page = path.read_text(encoding='utf-8')
    assert write_evidence.filled(page) == page, 'python -m tools.dev.write_evidence'
    told = {name for _, _, name, _ in write_evidence.BLOCK.findall(page)}
    kept = {path.stem for path in write_evidence.FOLDER.glob('*.json')}
    assert told
    assert told <= kept


def test_every_picture_that_is_shown_is_drawn_from_results():
    page = write_evidence.PAGE.read_text(encoding='utf-8')
    shown = write_evidence.pictures(page)
    assert set(shown) >= {write_evidence.SHOWN}
    for name, place in shown.items():
        assert place.is_file(), 'python -m tools.dev.write_evidence'
        assert draw(write_evidence.kept_as(name)).axes


def test_a_comparison_alone_is_what_compare_prints(page):
    short = write_evidence.filled(
        '<!-- comparison small: begin -->\n<!-- comparison small: end -->'
    )
    assert 'would have been seen' not in short
    assert 'one CPU core' not in short
    lines = short.splitlines()[1:-2]  # between the marks
    assert len([line for line in lines if line.startswith('| ')]) == 5
    assert set(lines) <= set(page.splitlines())


def told_of(kept, monkeypatch, tmp_path):
    """The lines of the table that is made of results, cell by cell."""
    (tmp_path / 'small.json').write_text(json.dumps(write_evidence.trimmed(kept)))
    monkeypatch.setattr(write_evidence, 'FOLDER', tmp_path)
    lines = [
        x for x in write_evidence.section('small', 'evidence').splitlines() if '|' in x
    ]
    return [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines[2:]]


def test_what_dropping_costs_is_compared_seed_by_seed(monkeypatch, tmp_path):
    def points(arm, seed, whole, *dropped):
        for keep_prob, mask, value in [(1, 0, whole), *((0.75, *d) for d in dropped)]:
            yield dict(
                model=f'{arm} seed {seed}',
                block_size=7,
                keep_prob=keep_prob,
                seed=mask,
                metric='accuracy/top1',
                value=value,
            )

    found = [
        *points('none', 0, 60, (0, 49), (1, 51)),
        *points('none', 1, 70, (0, 60), (1, 60)),
        *points('block', 0, 62, (0, 57), (1, 57)),
        *points('block', 1, 70, (0, 66), (1, 68)),
    ]
    kept = dict(figure='robustness', command='c', numbers=dict(points=found))
    setting = 'block 7, keep_prob 0.75'
    assert told_of(kept, monkeypatch, tmp_path) == [
        [setting, 'none', '-10.00', '', '', ''],
        [setting, 'block', '-4.00', '+6.00', '-6.71 to +18.71', 'undecided'],
    ]
    panel = draw(write_evidence.kept_as('small')).axes[0]
    means = {line.get_label(): list(line.get_ydata()) for line in panel.lines}
    assert means['none'] == [55, 65], 'at keep_prob 0.75 and 1, over both seeds'
    assert means['block'] == [62, 66]


def test_spread_is_compared_seed_by_seed(monkeypatch, tmp_path):
    models = [f'{arm} seed {seed}' for arm in ('none', 'block') for seed in (3, 5)]
    means = {key: [0.2, 0.3, 0.4, 0.51] for key in MEASURES}
    numbers = dict(models=models, images=9, compared=4, means=means, differences={})
    kept = dict(figure='activation_maps', command='c', numbers=numbers)
    lines = told_of(kept, monkeypatch, tmp_path)
    assert len(lines) == 2 * len(MEASURES)
    assert lines[0][1:] == ['none', '0.250', '', '', '']
    assert lines[1][1:4] == ['block', '0.455', '+0.205']
    assert lines[1][5] == 'higher'
    panels = draw(write_evidence.kept_as('small')).axes
    assert [len(panel.lines) for panel in panels] == [2 + 1] * len(lines[::2])


def test_a_gap_is_told_at_each_epoch_as_the_mean_of_the_seeds(monkeypatch, tmp_path):
    curve = {20: {'training images': 60.0, 'unseen images': 20.0}}
    other = {20: {'training images': 70.0, 'unseen images': 10.0}}
    found = dict(none_seed0=curve, none_seed1=other, block_seed0=curve)
    kept = dict(figure='gap', command='c', metric='mIoU', runs=found)
    assert told_of(kept, monkeypatch, tmp_path) == [
        ['none', '20', '65.0', '15.0', '50.0', '2'],
        ['block', '20', '60.0', '20.0', '40.0', '1'],
    ]
    panel = draw(write_evidence.kept_as('small')).axes[0]
    assert {line.get_xdata()[0] for line in panel.lines} == {20}
