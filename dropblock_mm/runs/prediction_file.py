"""Writes down what a classifier predicts, image by image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric

from dropblock_mm.registry import METRICS
from dropblock_mm.runs.checkpoints.whole_files import write_whole


@METRICS.register_module()
class PredictionFile(BaseMetric):
    """A metric that measures nothing: it writes predictions to a JSON file.

    Beside ``Accuracy`` in a config of mmpretrain's::

        val_evaluator = [
            dict(type='Accuracy', topk=(1, 5)),
            dict(type='dropblock_mm.PredictionFile', outfile_prefix='work_dirs/val'),
        ]

    The file, named by the prefix and '.json', is a list of ``{'image', 'label',
    'predicted', 'score'}``, in the order of the data set, and whole at any moment.

    Args:
        outfile_prefix: Where to write; nothing is written if None.
        **options: Of MMEngine's ``BaseMetric``.
    """

    def __init__(self, outfile_prefix: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.outfile_prefix = outfile_prefix

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Take the predictions of a batch."""
        if self.outfile_prefix is None:
            return
        for sample in data_samples:
            predicted = int(sample['pred_label'].flatten()[0])
            self.results.append(
                {
                    'image': sample.get('img_path', ''),
                    'label': int(sample['gt_label'].flatten()[0]),
                    'predicted': predicted,
                    'score': float(sample['pred_score'][predicted]),
                }
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Write all predictions; there is nothing to log."""
        if self.outfile_prefix is not None:
            path = Path(f'{self.outfile_prefix}.json')
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(f'{json.dumps(results)}\n'.encode(), path)
        return {}

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute, without MMEngine's warning where nothing was to be taken."""
        return super().evaluate(size) if self.outfile_prefix is not None else {}
