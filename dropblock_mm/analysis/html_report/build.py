"""Puts the page together from folders of runs, series and pictures, or checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dropblock_mm.analysis.figures.record import NumberTable, is_record, read_record
from dropblock_mm.analysis.html_report.curves import compared_picture, training_picture
from dropblock_mm.analysis.html_report.page import Page, Section, inline
from dropblock_mm.analysis.html_report.run_folder import RunFolder, is_run, read_run
from dropblock_mm.analysis.html_report.series_file import series_files, series_section
from dropblock_mm.errors import RefusedError, RefusedFileError
from dropblock_mm.programs import typed
from dropblock_mm.runs.checkpoints.safe_loading import read_checkpoint
from dropblock_mm.runs.checkpoints.whole_files import megabytes

WANTED = {
    'masks': 'masks',
    'schedule': 'plot-schedule',
    'predictions': 'predict',
    'activation_maps': 'activation-maps',
    'robustness': 'robustness',
}
DEEPEST = 2  # folders below one that is given


def build_page(
    paths: Sequence[Path],
    title: str,
    made: dict[str, str],
    advance: Callable[[str], object] = lambda name: None,
) -> Page:
    """Read what the paths hold.

    Args:
        paths: Work directories of runs or series, folders of those, folders of
            pictures, and checkpoints.
        title: Of the page.
        made: When and how.
        advance: Called with the name of a run that was read.

    Raises:
        RefusedFileError: A path does not exist, or holds nothing to report.
    """
    page = Page(title, made)
    runs: list[RunFolder] = []
    seen: set[Path] = set()  # of folders that are named, and stand in another too
    for path in paths:
        before, whole = len(page.sections), path.resolve()
        there_already = any(folder.is_relative_to(whole) for folder in seen)
        if path.is_file() and path.suffix == '.pth':
            page.sections.append(checkpoint_section(path))
        elif path.is_dir():
            for folder in _new_folders(path, seen):
                _add_content(page, runs, folder, _name(folder, path), advance)
        elif path.is_file():
            raise RefusedFileError(
                f'{str(path)!r} is no checkpoint (*.pth). Give one, or the --work-dir '
                'of a training.'
            )
        else:
            raise RefusedFileError(
                f'{str(path)!r} does not exist. Give the --work-dir of a training.'
            )
        if len(page.sections) == before and not there_already:
            raise RefusedFileError(
                f'{str(path)!r} holds no run (*/vis_data), no series (*.json), no '
                'checkpoint (*.pth) and no picture with its record (NAME.json). Give '
                'the --work-dir of a training.'
            )
    if runs:
        page.summary = summary_tables(runs)
    compared = compared_picture(runs)
    page.pictures = [compared] if compared else []
    return page


def count_runs(paths: Sequence[Path]) -> int:
    """Return how many runs :func:`build_page` finds in paths, each of them once."""
    found = [folder for path in paths for folder in _folders(path)]
    return len({folder.resolve() for folder in found if is_run(folder)})


def _folders(path: Path, depth: int = DEEPEST) -> Iterator[Path]:
    """Yield a folder and those in it, but none of a run's own."""
    if not path.is_dir():
        return
    yield path
    for folder in sorted(path.iterdir()) if depth and not is_run(path) else ():
        yield from _folders(folder, depth - 1)


def _new_folders(path: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield those of :func:`_folders` that were not seen, and note them."""
    for folder in _folders(path):
        if folder.resolve() not in seen:
            seen.add(folder.resolve())
            yield folder


def _name(folder: Path, top: Path) -> str:
    """Name a folder by its path from the one that was given, that included."""
    inner = str(folder.relative_to(top.parent))
    return inner if folder != top else top.name or str(top)


def _add_content(
    page: Page,
    runs: list[RunFolder],
    path: Path,
    name: str,
    advance: Callable[[str], object],
) -> None:
    """Add what lies in a folder itself."""
    page.sections += [series_section(file) for file in series_files(path)]
    if is_run(path):
        run = read_run(path, name)
        runs.append(run)
        page.sections.append(run_section(run))
        advance(name)
        return
    checkpoints = sorted(path.glob('*.pth'))
    page.sections += [checkpoint_section(file) for file in checkpoints]
    pictures = Section(name, 'pictures')
    add_pictures(pictures, path)
    if pictures.pictures or pictures.missing:
        page.sections.append(pictures)


def run_section(run: RunFolder) -> Section:
    """Describe a run: facts, curves, the pictures in its folder, what is missing."""
    section = Section(
        run.name,
        'run',
        run.facts,
        missing=list(run.missing),
        commands=list(run.commands),
        environment=run.environment,
    )
    try:
        drawn = training_picture(run)
        section.pictures = [drawn] if drawn else []
    except Exception as error:  # a log may hold anything
        section.missing.append(
            f'The curves could not be drawn: {type(error).__name__}: {error}.'
        )
    found = add_pictures(section, run.path)
    absent = [typed(command) for kind, command in WANTED.items() if kind not in found]
    if absent:
        section.commands.append(
            '# Pictures that are not there yet are made by:\n'
            + '\n'.join(f'{command} --help' for command in absent)
        )
    return section


def add_pictures(section: Section, folder: Path) -> set[str]:
    """Add the recorded pictures of a folder, and return their kinds."""
    kinds: set[str] = set()
    for path in sorted([*folder.glob('*.json'), *folder.glob('figures/*.json')]):
        if not _may_be_record(path):
            continue
        try:
            record = read_record(path)
            section.pictures.append(inline(record, path.parent))
            kinds.add(record.figure)
        except RefusedError as error:
            section.missing.append(str(error))
        except FileNotFoundError:
            section.missing.append(f'{path.name} names a picture that is not there.')
        except OSError:
            section.missing.append(f'{path.name} names a picture that cannot be read.')
    return kinds


def _may_be_record(path: Path) -> bool:
    """Tell a record, or what was cut short of one, from other JSON."""
    try:
        return is_record(json.loads(path.read_text(encoding='utf-8')))
    except OSError:
        return False
    except ValueError:
        return any(path.with_suffix(end).is_file() for end in ('.png', '.svg', '.gif'))


def checkpoint_section(path: Path) -> Section:
    """Describe a checkpoint: what it was trained for, and how large it is."""
    section = Section(path.name, 'checkpoint', {'file': str(path)})
    section.facts['size'] = megabytes(path.stat().st_size)
    try:
        content = read_checkpoint(str(path), repr(str(path)))
    except RefusedError as error:
        section.missing.append(str(error))
        return section
    content = content if isinstance(content, dict) else {}
    meta = content.get('meta') or {}
    weights = content.get('state_dict', content)
    section.facts |= _facts_of_weights(weights)
    for key in ('epoch', 'iter', 'time', 'mmengine_version'):
        if meta.get(key) is not None:
            section.facts[key] = str(meta[key])
    classes = (meta.get('dataset_meta') or {}).get('classes')
    if classes:
        section.facts['classes'] = f'{len(classes)}: {", ".join(map(str, classes))}'
    return section


def _facts_of_weights(weights: Any) -> dict[str, str]:
    sizes = [value.numel() for value in weights.values() if hasattr(value, 'numel')]
    return {'tensors': f'{len(sizes):,}', 'numbers in them': f'{sum(sizes):,}'}


def summary_tables(runs: Sequence[RunFolder]) -> list[NumberTable]:
    """List the runs, a table for each metric and data set, the best first."""
    headings = ['run', 'model', 'DropBlock', 'at the end', 'at best', 'units kept']
    tables = []
    kinds = dict.fromkeys((run.metric, run.data if run.metric else '') for run in runs)
    for metric, data in kinds:
        lines = []
        for run in runs:
            if run.metric != metric or (metric and run.data != data):
                continue
            ends = [run.values[-1], max(run.values)] if run.values else []
            numbers = [f'{value:.4g}' for value in ends]
            kept = '' if run.keep_rate is None else f'{run.keep_rate:.4f}'
            facts = [run.facts.get(key, '?') for key in ('model', 'DropBlock')]
            lines.append([run.name, *facts, *(numbers or ['', '']), kept])
        title = f'Runs by {metric}' if metric else 'Runs that were not evaluated'
        if [name for name, _ in kinds].count(metric) > 1:
            title += f' on {data or "data that are not known"}'
        table = NumberTable(title, headings, lines)
        tables.append(table.sorted(3, descending=True) if metric else table)
    return tables
