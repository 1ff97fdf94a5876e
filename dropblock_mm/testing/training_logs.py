"""Logs as MMEngine writes them, of trainings that never took place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

EPOCH, LAST, INTERVAL = 20, 60, 5  # iterations


def made_up_rows(first: int = INTERVAL, last: int = LAST) -> list[dict[str, Any]]:
    """Return the rows of a part of a training of three epochs.

    The loss is 2 / iteration, and keep_prob falls from 1 to 0.9; it is evaluated
    after each epoch, with an mAP of iteration / 100.

    Args:
        first: First iteration that is logged; after it each fifth one is.
        last: Last iteration.
    """
    rows = []
    for step in range(first, last + 1, INTERVAL):
        keep_prob = 1 - 0.1 * (step - 1) / (LAST - 1)
        row = {
            'lr': 0.1,
            'loss': 2 / step,
            'loss_cls': 1.5 / step,
            'loss_bbox': 0.5 / step,
            'keep_prob': keep_prob,
            'effective_keep_rate': (1 + keep_prob) / 2,
            'target_keep_rate.backbone.layer4': keep_prob,
            'epoch': (step - 1) // EPOCH + 1,
            'iter': step,
            'step': step,
        }
        rows.append(row)
        if step % EPOCH == 0:
            rows.append({'coco/bbox_mAP': step / 100, 'step': step // EPOCH})
    return rows


def write_log(work_dir: Path, started: str, rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows where a training puts them.

    Args:
        work_dir: The training's.
        started: Name of the folder of this part of it, as '20200131_235959'.
        rows: What is logged.

    Returns:
        Path: The file.
    """
    path = work_dir / started / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    lines = [json.dumps(row) + '\n' for row in rows]
    path.write_text(''.join(lines), encoding='utf-8')
    return path
