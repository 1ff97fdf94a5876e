"""Write the numbers of docs/en/evidence.md from the results that are kept with it.

And what README.md shows of them, with a picture.

Usage::

    python -m tools.dev.write_evidence                            # the page, anew
    python -m tools.dev.write_evidence --collect NAME FILE.json   # results of a command

A command is tools/compare.py, or robustness.py or activation_maps.py of
tools/analysis_tools with models that are called 'ARM seed N'. Its results are kept,
without paths, as docs/en/_static/evidence/NAME.json, and where a page has
``<!-- evidence NAME: begin -->`` and its end, tables and sentences are put in between;
between ``<!-- comparison NAME: begin -->`` and its end, only what compare prints. A
test holds all together.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dropblock_mm.analysis.activation_maps.spread import MEASURES
from dropblock_mm.analysis.comparison.arms import (
    Arm,
    Comparison,
    Outcome,
    compare_outcomes,
)
from dropblock_mm.analysis.comparison.differences import detectable, difference
from dropblock_mm.analysis.comparison.text import (
    between,
    main_table,
    sentences,
    signed,
)
from dropblock_mm.analysis.figures.comparison import draw_comparison
from dropblock_mm.analysis.figures.style import house_style, save_picture
from dropblock_mm.tables_md import markdown_table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/en/evidence.md'
README = ROOT / 'README.md'
FOLDER = ROOT / 'docs/en/_static/evidence'
SHOWN = 'classification'  # the comparison in README.md
PICTURE = ROOT / 'docs/en/_static/comparison.png'
BLOCK = re.compile(
    r'(<!-- (evidence|comparison) ([\w-]+): begin -->\n).*?(<!-- \2 \3: end)', re.S
)
Numbers = dict[str, dict[int, list[float]]]  # by arm and seed
LIBRARIES = ('PyTorch', 'MMEngine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain')


def main(argv: Sequence[str] | None = None) -> None:
    """Collect, if that is asked for, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--collect', nargs=2, metavar=('NAME', 'FILE'))
    args = parser.parse_args(argv)
    if args.collect:
        name, file = args.collect
        found = json.loads(Path(file).read_text(encoding='utf-8'))
        kept = json.dumps(trimmed(found), indent=1)
        (FOLDER / f'{name}.json').write_text(f'{kept}\n', encoding='utf-8')
    for page in (PAGE, README):
        page.write_text(filled(page.read_text(encoding='utf-8')), encoding='utf-8')
    with house_style():
        save_picture(draw_comparison(comparison_of(kept_as(SHOWN))), PICTURE)


def trimmed(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a command's results: no paths, no machine."""
    kind = found.get('figure', 'comparison')
    return {'kind': kind, 'command': found['command'], **_KEPT[kind](found)}


def _of_comparison(found: Mapping[str, Any]) -> dict[str, Any]:
    libraries = found['environment']
    return {
        'metric': found['metric'],
        'libraries': {n: libraries[n] for n in LIBRARIES if n in libraries},
        'runs': [
            {
                'arm': run['arm'],
                'seed': run['seed'],
                'metrics': run['metrics'],
                'on_training': run['on_training'],
                'keep_rate': run['effective_keep_rate'],
                'images_seen': run['images_seen'],
                'seconds': round(seconds_of(run['attempts'])),
                'commit': run['attempts'][-1]['commit'],
            }
            for run in found['runs']
            if run['state'] == 'finished'
        ],
    }


def _of_robustness(found: Mapping[str, Any]) -> dict[str, Any]:
    return {'points': found['numbers']['points']}


def _of_maps(found: Mapping[str, Any]) -> dict[str, Any]:
    numbers = found['numbers']
    return {key: numbers[key] for key in ('models', 'images', 'compared', 'means')}


_KEPT = {
    'comparison': _of_comparison,
    'robustness': _of_robustness,
    'activation_maps': _of_maps,
}


def seconds_of(attempts: Sequence[Mapping[str, Any]]) -> float:
    """Return how long a run's commands took, all together."""
    times = [
        [datetime.fromisoformat(note[key]) for key in ('started', 'ended')]
        for note in attempts
        if 'ended' in note
    ]
    return sum((end - start).total_seconds() for start, end in times)


def filled(page: str) -> str:
    """Return the page with the numbers of all studies that it names."""
    return BLOCK.sub(lambda m: f'{m[1]}\n{section(m[3], m[2])}\n\n{m[4]}', page)


def kept_as(name: str) -> dict[str, Any]:
    """Return what is kept under a name."""
    text = (FOLDER / f'{name}.json').read_text(encoding='utf-8')
    return json.loads(text)


def section(name: str, extent: str) -> str:
    """Return tables and sentences of what is kept under a name.

    Args:
        name: Of the study.
        extent: 'evidence' for all of it, 'comparison' for what compare prints.
    """
    kept = kept_as(name)
    command = folded(kept['command'])
    tell = _tell_printed if extent == 'comparison' else _TOLD[kept['kind']]
    parts = [f'```shell\n{command}\n```', *tell(kept)]
    return '\n\n'.join(part for part in parts if part)


def folded(command: str) -> str:
    """Return a command in lines that a page has room for."""
    lines = textwrap.wrap(
        command,
        80,
        break_long_words=False,
        break_on_hyphens=False,
        subsequent_indent='    ',
    )
    return ' \\\n'.join(lines)


def _tell_printed(kept: Mapping[str, Any]) -> list[str]:
    found = comparison_of(kept)
    return [main_table(found), *sentences(found)]


def _tell_comparison(kept: Mapping[str, Any]) -> list[str]:
    pairs = pairs_table(comparison_of(kept))
    return [*_tell_printed(kept), pairs, cost(kept)]


def _tell_robustness(kept: Mapping[str, Any]) -> list[str]:
    values: dict[tuple[int, float], Numbers] = {}
    for point in kept['points']:
        setting = (point['block_size'], point['keep_prob'])
        arm, seed = arm_and_seed(point['model'])
        drawn = values.setdefault(setting, {}).setdefault(arm, {})
        drawn.setdefault(seed, []).append(point['value'])
    whole = next(v for (_, keep_prob), v in values.items() if keep_prob == 1)
    lines = []
    for (block, keep_prob), arms in sorted(values.items(), key=lambda item: item[0]):
        lost = {
            arm: {
                seed: statistics.fmean(drawn) - statistics.fmean(whole[arm][seed])
                for seed, drawn in seeds.items()
            }
            for arm, seeds in arms.items()
        }
        if keep_prob < 1:
            lines += differing(f'block {block}, keep_prob {keep_prob:g}', lost)
    metric = kept['points'][0]['metric']
    return [_table(f'change of {metric}', lines)]


def _tell_maps(kept: Mapping[str, Any]) -> list[str]:
    lines = []
    for measure, title in MEASURES.items():
        values: dict[str, dict[int, float]] = {}
        for model, value in zip(kept['models'], kept['means'][measure], strict=True):
            arm, seed = arm_and_seed(model)
            values.setdefault(arm, {})[seed] = value
        lines += differing(title, values, digits=3)
    images = (
        f'{kept["compared"]} of {kept["images"]} images, which all models got right.'
    )
    return [_table('measure', lines), f'Means over {images}']


_TOLD = {
    'comparison': _tell_comparison,
    'robustness': _tell_robustness,
    'activation_maps': _tell_maps,
}


def arm_and_seed(model: str) -> tuple[str, int]:
    """Read the name of a model, 'ARM seed N'."""
    arm, _, seed = model.rpartition(' seed ')
    return arm, int(seed)


def differing(
    what: str, values: Mapping[str, Mapping[int, float]], digits: int = 2
) -> list[list[str]]:
    """Return a line for each arm: its mean, and its difference to the first arm.

    Args:
        what: What the values are.
        values: By arm and seed; the first arm is what others are compared with.
        digits: Behind the point.
    """
    plain = next(iter(values.values()))
    lines = []
    for arm, own in values.items():
        line = [what, arm, f'{statistics.fmean(own.values()):.{digits}f}']
        if own is not plain:
            found = difference({seed: own[seed] - plain[seed] for seed in own})
            ends = found.t_interval or (math.nan, math.nan)
            interval = ' to '.join(f'{end:+.{digits}f}' for end in ends)
            line += [f'{found.mean:+.{digits}f}', interval, found.outcome]
        lines.append([*line, *[''] * (6 - len(line))])
    return lines


def _table(what: str, lines: Sequence[Sequence[str]]) -> str:
    headings = [what, 'arm', 'mean', 'difference', '95 %, paired t', 'outcome']
    return markdown_table(headings, lines)


def comparison_of(kept: Mapping[str, Any]) -> Comparison:
    """Return the comparison that a study's results make."""
    outcomes: dict[str, dict[int, Outcome]] = {}
    metric = kept['metric']
    for run in kept['runs']:
        outcomes.setdefault(run['arm'], {})[run['seed']] = Outcome(
            run['metrics'][metric],
            run['on_training'].get(metric),
            run['images_seen'],
            None,
        )
    return compare_outcomes(metric, outcomes)


def pairs_table(comparison: Comparison) -> str:
    """Return the differences of all pairs of arms, and what could have been seen."""
    lines = []
    for place, arm in enumerate(comparison.arms):
        for other in comparison.arms[place + 1 :]:
            lines.append(_pair(other, arm, comparison.metric))
    headings = ['difference', 'mean', '95 %, paired t', 'bootstrap', 'outcome']
    return markdown_table([*headings, 'would have been seen'], lines)


def _pair(arm: Arm, other: Arm, metric: str) -> list[str]:
    pair = {other.name: other.outcomes, arm.name: arm.outcomes}
    found = compare_outcomes(metric, pair).arms[1].difference
    assert found is not None
    size = detectable(list(found.values.values()))
    return [
        f'{arm.name} - {other.name}',
        signed(found.mean),
        between(found.t_interval),
        between(found.bootstrap),
        found.outcome,
        '' if size is None else f'{size:.2f}',
    ]


def cost(kept: Mapping[str, Any]) -> str:
    """Say what the runs took, and with what they were made."""
    seconds = [run['seconds'] for run in kept['runs']]
    rates: dict[str, list[float]] = {}
    for run in kept['runs']:
        if run['keep_rate'] is not None:
            rates.setdefault(run['arm'], []).append(run['keep_rate'])
    rate = ', '.join(f'{arm} {statistics.fmean(r):.3f}' for arm, r in rates.items())
    made = ', '.join(f'{name} {version}' for name, version in kept['libraries'].items())
    commits = ', '.join(sorted({run['commit'] for run in kept['runs']}))
    return (
        f'{len(seconds)} trainings, {sum(seconds) / 3600:.1f} hours of one CPU core '
        f'that other work shared ({statistics.median(seconds) / 60:.0f} minutes each, '
        f'evaluation included). Share of units kept in the last epoch: {rate}. '
        f'{made}; dropblock_mm at {commits}.'
    )


if __name__ == '__main__':
    main()
