"""What is to be run: a config file and a folder for each row and seed."""

from __future__ import annotations

import pprint
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dropblock_mm import runs
from dropblock_mm.config_files import config_path
from dropblock_mm.errors import RefusedError
from dropblock_mm.reproduction.data import Data, use_data
from dropblock_mm.reproduction.shrink import shorten, shrink
from dropblock_mm.reproduction.tables import Row, Table

_SHOWN = 5
_MISSING = object()


@dataclass(frozen=True)
class Changes:
    """What all configs of a table are changed by, in this order.

    Args:
        data: Another data set.
        smoke: Whether to make the run tiny.
        epochs: Another length.
        options: From ``--cfg-options``; the last word.
    """

    data: Data = field(default_factory=Data)
    smoke: bool = False
    epochs: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One training of one row.

    Args:
        row: Of the table.
        seed: Of the random numbers.
        work_dir: Folder of logs and checkpoints.
        config: File that :func:`write_config` writes.
        cfg: Its content.
    """

    row: Row
    seed: int
    work_dir: Path
    config: Path
    cfg: Config

    def __str__(self) -> str:
        return f'{self.row.name}, seed {self.seed}'


@dataclass(frozen=True)
class Plan:
    """The runs of a table.

    Args:
        asked: What is to be finished, all rows with the first seed first.
        known: These and what earlier commands began in the same folder, in the
            order of the table.
    """

    asked: list[Run]
    known: list[Run]


def make_plan(
    table: Table,
    rows: Sequence[str],
    seeds: Sequence[int],
    work_dir: Path,
    changes: Changes,
) -> Plan:
    """List the runs.

    Raises:
        RefusedError: A config cannot be changed so, or differs from what was run in its
            folder before: a table compares runs with the same settings.
    """
    asked = [(name, seed) for seed in seeds for name in rows]
    known = sorted(
        {*asked, *earlier_runs(table, work_dir)},
        key=lambda pair: (table.rows.index(table.row(pair[0])), pair[1]),
    )
    runs = {
        pair: make_run(table.row(pair[0]), pair[1], work_dir, changes) for pair in known
    }
    for run in runs.values():
        check_unchanged(run)
    return Plan([runs[pair] for pair in asked], [runs[pair] for pair in known])


def earlier_runs(table: Table, work_dir: Path) -> set[tuple[str, int]]:
    """Return rows and seeds that have folders."""
    found = [re.fullmatch(r'(.+)_seed(\d+)', path.name) for path in folders(work_dir)]
    names = {row.name for row in table.rows}
    return {(m[1], int(m[2])) for m in found if m and m[1] in names}


def folders(work_dir: Path) -> list[Path]:
    """Return the folders in a folder that need not exist."""
    return [path for path in work_dir.glob('*') if path.is_dir()]


def make_run(row: Row, seed: int, work_dir: Path, changes: Changes) -> Run:
    """Return one run."""
    name = f'{row.name}_seed{seed}'
    return Run(
        row,
        seed,
        work_dir / name,
        work_dir / 'configs' / f'{name}.py',
        changed_config(row.config, seed, changes),
    )


def changed_config(name: str, seed: int, changes: Changes) -> Config:
    """Read a config and apply what is asked for."""
    # Via a plain dict, in which no two places share an object.
    cfg = Config(runs.load_config(config_path(name)).to_dict())
    use_data(cfg, changes.data)
    if changes.smoke:
        shrink(cfg)
    if changes.epochs:
        shorten(cfg, changes.epochs)
    cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': seed}
    if (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        cfg.auto_scale_lr.enable = True
    runs.merge_options(cfg, changes.options, name)
    return cfg


def config_text(run: Run) -> str:
    """Return the run's config as a file."""
    lines = [f'# {run.row.config} with seed {run.seed}, made by the command reproduce.']
    lines += [
        f'{key} = {pprint.pformat(value, sort_dicts=False)}'
        for key, value in run.cfg.to_dict().items()
    ]
    return '\n'.join(lines) + '\n'


def write_config(run: Run) -> None:
    """Write the run's config where its command expects it."""
    run.config.parent.mkdir(parents=True, exist_ok=True)
    run.config.write_text(config_text(run), encoding='utf-8')


def check_unchanged(run: Run) -> None:
    """Refuse to go on in a folder where something else was run.

    Raises:
        RefusedError: With the settings that differ.
    """
    # Without a checkpoint there is nothing to go on from.
    if not any(run.work_dir.glob('*.pth')) or not run.config.exists():
        return
    before = dict(flatten(Config.fromfile(run.config).to_dict()))
    now = dict(flatten(run.cfg.to_dict()))
    changed = [
        f'{key}: {before.get(key, "absent")!r} before, {now.get(key, "absent")!r} now'
        for key in {**before, **now}
        if before.get(key, _MISSING) != now.get(key, _MISSING)
    ]
    if changed:
        more = [f'and {len(changed) - _SHOWN} more'] if len(changed) > _SHOWN else []
        told = '\n  '.join([*changed[:_SHOWN], *more])
        raise RefusedError(
            f'{run.work_dir} holds a run with other settings:\n  {told}\n'
            'Give the same options as before, or another --work-dir, or remove that '
            'folder to train it anew.'
        )


def flatten(value: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """List the leaves of nested dicts and lists, by dotted keys."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        yield key, value
    for name, inner in items:
        yield from flatten(inner, f'{key}.{name}' if key else str(name))
