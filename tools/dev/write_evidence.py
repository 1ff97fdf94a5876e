"""Write the numbers of docs/en/evidence.md from the results that are kept with it.

Usage::

    python -m tools.dev.write_evidence                            # the page, anew
    python -m tools.dev.write_evidence --collect NAME WORK_DIR    # results of a series

A series is what tools/compare.py leaves in a work dir. Its results are kept, without
checkpoints, as docs/en/_static/evidence/NAME.json, and a page that names them between
``<!-- evidence NAME: begin -->`` and its end gets tables and sentences. A test holds
both together.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dropblock_mm.analysis.comparison.arms import (
    Arm,
    Comparison,
    Outcome,
    compare_outcomes,
)
from dropblock_mm.analysis.comparison.differences import detectable
from dropblock_mm.analysis.comparison.text import (
    between,
    main_table,
    sentences,
    signed,
)
from dropblock_mm.tables_md import markdown_table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/en/evidence.md'
FOLDER = ROOT / 'docs/en/_static/evidence'
BLOCK = re.compile(
    r'(<!-- evidence ([\w-]+): begin -->\n).*?(<!-- evidence \2: end)', re.S
)
LIBRARIES = ('PyTorch', 'MMEngine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain')


def main(argv: Sequence[str] | None = None) -> None:
    """Collect, if that is asked for, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--collect', nargs=2, metavar=('NAME', 'WORK_DIR'))
    args = parser.parse_args(argv)
    if args.collect:
        name, work_dir = args.collect
        found = json.loads(Path(work_dir, 'compare.json').read_text(encoding='utf-8'))
        kept = json.dumps(trimmed(found), indent=1)
        (FOLDER / f'{name}.json').write_text(f'{kept}\n', encoding='utf-8')
    PAGE.write_text(filled(PAGE.read_text(encoding='utf-8')), encoding='utf-8')


def trimmed(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a compare.json: no paths, no machine."""
    return {
        'command': found['command'],
        'metric': found['metric'],
        'libraries': {
            name: found['environment'][name]
            for name in LIBRARIES
            if name in found['environment']
        },
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
    return BLOCK.sub(lambda m: f'{m[1]}\n{section(m[2])}\n\n{m[3]}', page)


def section(name: str) -> str:
    """Return tables and sentences of a study."""
    kept = json.loads((FOLDER / f'{name}.json').read_text(encoding='utf-8'))
    found = comparison_of(kept)
    parts = [
        f'```shell\n{kept["command"]}\n```',
        main_table(found),
        *sentences(found),
        pairs_table(found),
        cost(kept),
    ]
    return '\n\n'.join(part for part in parts if part)


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
