"""What is to be run: a config file and a folder for each row and seed."""

from __future__ import annotations

import pprint
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dropblock_mm import runs
from dropblock_mm.config_files import config_path
from dropblock_mm.errors import RefusedError, RefusedValueError
from dropblock_mm.reproduction.data import Data, use_data
from dropblock_mm.reproduction.on_training import on_training
from dropblock_mm.reproduction.shrink import shorten, shrink
from dropblock_mm.reproduction.tables import Row, Table

_SHOWN = 5
_MISSING = object()
_HOOK_OPTION = re.compile(r'custom_hooks\.(\d+)(\.|$)')
Extend = Callable[[Config], Config]


@dataclass(frozen=True)
class Changes:
    """What all configs of a table are changed by, in this order.

    Args:
        data: Another data set.
        smoke: Whether to make the run tiny.
        epochs: Another length.
        options: From ``--cfg-options``; the last word. What they say of hooks that
            ``extend`` adds is left out of the rows that add none.
        extend: What a row does to the config that it shares with others, by the row's
            name.
        find: Turns a row's config into what :func:`.load_config` takes.
        gap_images: On how many training images a model is evaluated too; 0: on none.
    """

    data: Data = field(default_factory=Data)
    smoke: bool = False
    epochs: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    extend: Mapping[str, Extend] = field(default_factory=dict)
    find: Callable[[str], str] = config_path
    gap_images: int = 0


@dataclass(frozen=True)
class Run:
    """One training of one row.

    Args:
        row: Of the table.
        seed: Of the random numbers.
        work_dir: Folder of logs and checkpoints.
        config: File that :func:`write_config` writes.
        cfg: Its content.
        on_training: The same with training images in the place of those of the test,
            or None.
    """

    row: Row
    seed: int
    work_dir: Path
    config: Path
    cfg: Config
    on_training: Config | None = None

    def __str__(self) -> str:
        return f'{self.row.name}, seed {self.seed}'

    @property
    def name(self) -> str:
        """Of its folder and its config."""
        return self.work_dir.name

    @property
    def config_on_training(self) -> Path:
        """File of ``on_training``."""
        return self.config.with_name(f'{self.config.stem}_on_training.py')

    @property
    def work_dir_on_training(self) -> Path:
        """Folder of what comes of it, which tells how many images there were."""
        loader = self.on_training.test_dataloader if self.on_training else {}
        number = loader['dataset']['number'] if loader else 0
        return self.work_dir / f'on_{number}_training_images'


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
    bases: dict[str, Config] = {}
    runs = {
        pair: make_run(table.row(pair[0]), pair[1], work_dir, changes, bases)
        for pair in known
    }
    check_options(list(runs.values()), changes)
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


def make_run(
    row: Row,
    seed: int,
    work_dir: Path,
    changes: Changes,
    bases: dict[str, Config] | None = None,
) -> Run:
    """Return one run.

    Args:
        row: Of the table.
        seed: Of the random numbers.
        work_dir: Folder of all runs.
        changes: To the row's config.
        bases: Configs that were read before; those that are read now are put in.
    """
    bases = {} if bases is None else bases
    if row.config not in bases:
        bases[row.config] = runs.load_config(changes.find(row.config))
    name = f'{row.name}_seed{seed}'
    extend = changes.extend.get(row.name)
    cfg = changed_config(row.config, seed, changes, extend, bases[row.config])
    return Run(
        row,
        seed,
        work_dir / name,
        work_dir / 'configs' / f'{name}.py',
        cfg,
        on_training(cfg, changes.gap_images, work_dir) if changes.gap_images else None,
    )


def changed_config(
    name: str,
    seed: int,
    changes: Changes,
    extend: Extend | None = None,
    base: Config | None = None,
) -> Config:
    """Read a config, if it is not given, and apply what is asked for."""
    base = runs.load_config(changes.find(name)) if base is None else base
    # Via a plain dict, in which no two places share an object.
    cfg = Config(base.to_dict())
    if extend:
        cfg = extend(cfg)
    use_data(cfg, changes.data)
    if changes.smoke:
        shrink(cfg)
    if changes.epochs:
        shorten(cfg, changes.epochs)
    cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': seed}
    if (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        cfg.auto_scale_lr.enable = True
    beyond = hooks_beyond(changes.options, cfg) if changes.extend else set()
    options = {k: v for k, v in changes.options.items() if k not in beyond}
    runs.merge_options(cfg, options, name)
    return cfg


def hooks_beyond(options: Mapping[str, Any], cfg: Config) -> set[str]:
    """Return the options of hooks that a config does not have, but another row may."""
    number = len(cfg.get('custom_hooks') or [])
    found = {key: _HOOK_OPTION.match(key) for key in options}
    return {key for key, match in found.items() if match and int(match[1]) >= number}


def check_options(runs: Sequence[Run], changes: Changes) -> None:
    """Refuse an option that no row has a hook for.

    Raises:
        RefusedValueError: With the option.
    """
    beyond = [hooks_beyond(changes.options, run.cfg) for run in runs]
    for key in sorted(set.intersection(*beyond)) if beyond else ():
        most = max(len(run.cfg.get('custom_hooks') or []) for run in runs)
        raise RefusedValueError(
            f'--cfg-options {key}={changes.options[key]!r} fits nothing that is to be '
            f'trained: no config has more than {most} custom_hooks, counted from 0.'
        )


def config_text(run: Run, cfg: Config | None = None) -> str:
    """Return the run's config, or another of its, as a file."""
    lines = [f'# {run.row.config}, {run}: made by a command that runs several.']
    lines += [
        f'{key} = {pprint.pformat(value, sort_dicts=False)}'
        for key, value in (cfg or run.cfg).to_dict().items()
    ]
    return '\n'.join(lines) + '\n'


def write_config(run: Run) -> None:
    """Write the run's config where its command expects it."""
    run.config.parent.mkdir(parents=True, exist_ok=True)
    run.config.write_text(config_text(run), encoding='utf-8')
    if run.on_training:
        text = config_text(run, run.on_training)
        run.config_on_training.write_text(text, encoding='utf-8')


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
