#!/usr/bin/env bash
# pycocotools 2.0.10 and numpy 2.2.6: thresholds in a list end the summary.
#
# A good guess: COCOeval takes its thresholds as any sequence, since evaluate() and
# accumulate() go through a list as well as through an array, and since mmdet's
# CocoMetric documents iou_thrs as "float | List[float]" and hands it over. summarize()
# looks AP at 0.5 up by `iouThr == p.iouThrs`, which for a list is one False and no
# array: NumPy 2.1 and later refuse nonzero() of that, and all that was computed in an
# hour of evaluation is lost. An array of the same numbers goes well, which a config
# cannot hold.
#
# Seen: with a list "ValueError: Calling nonzero on 0d arrays is not allowed ..."; with
# an array AP 1.0.
# Installs pinned public packages in a temporary folder (60 MB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pycocotools==2.0.10 numpy==2.2.6

cd "$folder"
cat > script.py <<'PYTHON'
import contextlib
import io
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

box = dict(id=1, image_id=1, category_id=1, bbox=[4, 4, 16, 16], area=256, iscrowd=0)


def result(thresholds):
    truth = COCO()
    truth.dataset = dict(
        info={},
        images=[dict(id=1, width=32, height=32)],
        annotations=[dict(box)],
        categories=[dict(id=1, name='cat')],
    )
    truth.createIndex()
    found = dict(image_id=1, category_id=1, bbox=box['bbox'], score=0.9)
    evaluation = COCOeval(truth, truth.loadRes([found]), 'bbox')
    evaluation.params.iouThrs = thresholds
    evaluation.evaluate()
    evaluation.accumulate()
    try:
        evaluation.summarize()
    except ValueError as error:
        return f'ValueError: {error}'
    return f'AP {evaluation.stats[0]:.1f}'


with contextlib.redirect_stdout(io.StringIO()):
    seen = [result([0.5, 0.75]), result(np.array([0.5, 0.75]))]
print('\n'.join(text.splitlines()[0] for text in seen))
PYTHON

venv/bin/python -W ignore script.py > seen.txt
venv/bin/pip list 2>/dev/null | grep -E '^(numpy|pycocotools) '
sed '1s/^/a list: /; 2s/^/an array: /' seen.txt
grep -q '^ValueError: Calling nonzero on 0d arrays is not allowed' seen.txt
[ "$(sed -n 2p seen.txt)" = 'AP 1.0' ]
