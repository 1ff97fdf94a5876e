"""Write the numbers of docs/en/evidence.md from the results that are kept with it.

And what README.md shows of them, with a picture.

Usage::

    python -m tools.dev.write_evidence                            # the page, anew
    python -m tools.dev.write_evidence --collect NAME FILE.json   # results of a command

A command is tools/compare.py, tools.dev.gap_over_training, or robustness.py or
activation_maps.py of tools/analysis_tools with models that are called 'ARM seed N'. Its
results are kept, without paths, as docs/en/_static/evidence/NAME.json, and where a page
has ``<!-- evidence NAME: begin -->`` and its end, tables and sentences are put in
between; between ``<!-- comparison NAME: begin -->`` and its end, only what compare
prints. Where the page shows _static/evidence/NAME.png, that is drawn. A test holds all
together.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dropblock_mm.analysis.figures.style import house_style, save_picture
from tools.dev.evidence_pictures import draw
from tools.dev.evidence_tables import TOLD, tell_printed

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/en/evidence.md'
README = ROOT / 'README.md'
FOLDER = ROOT / 'docs/en/_static/evidence'
SHOWN = 'detection'  # the comparison in README.md
PICTURE = ROOT / 'docs/en/_static/comparison.png'
BLOCK = re.compile(
    r'(<!-- (evidence|comparison) ([\w-]+): begin -->\n).*?(<!-- \2 \3: end)', re.S
)
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
        for name, place in pictures(PAGE.read_text(encoding='utf-8')).items():
            save_picture(draw(kept_as(name)), place)


def pictures(page: str) -> dict[str, Path]:
    """Return the results of which the page shows a picture, and its file."""
    names = re.findall(r'\]\(_static/evidence/([\w-]+)\.png\)', page)
    return {**{name: FOLDER / f'{name}.png' for name in names}, SHOWN: PICTURE}


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


def _of_gap(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ('metric', 'runs')}


_KEPT = {
    'comparison': _of_comparison,
    'robustness': _of_robustness,
    'activation_maps': _of_maps,
    'gap': _of_gap,
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
    tell = tell_printed if extent == 'comparison' else TOLD[kept['kind']]
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


if __name__ == '__main__':
    main()
