"""The commands by name: what each does, where it is, and how it is typed.

The table is read without importing any of them, so that their list and a typing error
are answered at once. A message that tells which command to run takes it from here: in a
clone there is tools/, in an installed wheel there is not.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULE, SCRIPT = 'python -m dropblock_mm', 'dropblock-mm'
INTERRUPTED = 130  # a shell's status after Ctrl-C


@dataclass(frozen=True)
class Program:
    """A command.

    Args:
        script: Its file in a clone.
        help: What it does, in a line.
    """

    script: str
    help: str


PROGRAMS = {
    'train': Program(
        'tools/train.py',
        'train a detector, segmentor or classifier, optionally with DropBlock',
    ),
    'test': Program('tools/test.py', 'evaluate a checkpoint'),
    'reproduce': Program(
        'tools/reproduce.py', "train a table's rows, and put them beside the paper's"
    ),
    'compare': Program(
        'tools/compare.py', 'train a config without DropBlock and with, and compare'
    ),
    'sweep': Program(
        'tools/sweep.py', 'train over a grid of keep_prob, block sizes and others'
    ),
    'print-sites': Program(
        'tools/misc/print_sites.py', 'show where DropBlock goes in a model'
    ),
    'check-dataset': Program(
        'tools/misc/check_dataset.py', 'look at all data of a config, before training'
    ),
    'estimate-cost': Program(
        'tools/analysis_tools/estimate_cost.py', 'estimate the GPU hours of a training'
    ),
    'plot-training': Program(
        'tools/analysis_tools/plot_training.py', 'plot what a training logged'
    ),
    'draw-predictions': Program(
        'tools/analysis_tools/draw_predictions.py', "draw a detector's predictions"
    ),
    'draw-segmentation': Program(
        'tools/analysis_tools/draw_segmentation.py', "draw a segmentor's label maps"
    ),
    'draw-classes': Program(
        'tools/analysis_tools/draw_classes.py', "draw a classifier's predictions"
    ),
    'masks': Program(
        'tools/analysis_tools/masks.py', "draw a model's masks over an image"
    ),
    'plot-schedule': Program(
        'tools/analysis_tools/plot_schedule.py', 'plot what a config will drop, by when'
    ),
    'activation-maps': Program(
        'tools/analysis_tools/activation_maps.py', 'show where trained models look'
    ),
    'robustness': Program(
        'tools/analysis_tools/robustness.py',
        'evaluate trained models with blocks dropped',
    ),
    'predict': Program('tools/predict.py', 'predict on images, and draw it'),
    'publish': Program(
        'tools/publish.py', 'write a checkpoint that stock libraries load'
    ),
    'report': Program(
        'tools/analysis_tools/report.py', 'write one page of HTML about runs'
    ),
    'voc-aug': Program(
        'tools/dataset_converters/voc_aug.py', 'make the training set of VOC 2012 + SBD'
    ),
}


def module_of(name: str) -> str:
    """Return the module of a command, whose ``main`` takes its arguments."""
    return f'dropblock_mm.commands.{name.replace("-", "_")}'


def in_clone() -> bool:
    """Tell a clone, where the commands are scripts in tools/, from a wheel."""
    return (ROOT / PROGRAMS['train'].script).is_file()


def started_by() -> str | None:
    """Return how :mod:`dropblock_mm.__main__` was started; None for a script."""
    before, _, name = sys.argv[0].rpartition(' ')
    return before if name in PROGRAMS and before in (MODULE, SCRIPT) else None


def typed(name: str, *arguments: str) -> str:
    """Return a command as the user can type it.

    Args:
        name: Of the table.
        *arguments: What follows it, not quoted yet.

    Returns:
        str: In the way in which this process was started; from a clone's scripts, or
        from code, by the script where there is one.
    """
    script = f'python {PROGRAMS[name].script}' if in_clone() else f'{MODULE} {name}'
    by = started_by()
    return ' '.join([f'{by} {name}' if by else script, *map(shlex.quote, arguments)])


def as_typed(text: str) -> str:
    """Return a text whose commands, written as in a clone, are as the user types them.

    Args:
        text: With ``python tools/NAME.py``, for example a module's docstring.
    """
    for name, known in PROGRAMS.items():
        text = text.replace(f'python {known.script}', typed(name))
    return text
