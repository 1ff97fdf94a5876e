#!/usr/bin/env bash
# mmengine 0.10.7: update_buffers=True leaves whole numbers and masks at their first value.
#
# A good guess: an averaged model with update_buffers=True averages the buffers too, and
# those that have no mean, such as the counter of a schedule or the mask of pruned
# weights, follow the model, as all buffers do without that option. They are copied at
# the first update (model/averaged_model.py, update_parameters, steps == 0), left out
# afterwards as no floating-point numbers, and, since update_buffers is set, not kept in
# sync either. So an EMAHook(update_buffers=True), as mmdet's RTMDet and YOLOX configs
# have it, evaluates and saves a model with the mask of iteration 1, and with a counter
# of 1. torch's own AveragedModel(use_buffers=True) lets the counter move; its mask stays
# on too, a mean of 99 to 1.
#
# Seen on 2026-11-29 after 400 updates by .01: the counter is 400 without update_buffers
# and 1 with it; of a mask whose last unit is off from update 200 on, without: off,
# with: on; the float beside them is averaged, 302.8. torch's counter is 301.
# Installs pinned public packages in a temporary folder (1 to 6 GB), and fails if what
# they do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.2.6 \
    mmengine==0.10.7 setuptools==80.9.0
# MMEngine asks for the desktop build of OpenCV; both own the same files.
"$folder/venv/bin/pip" install -q --force-reinstall --no-deps \
    opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import mmengine
import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Module(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer('count', torch.tensor(0))
        self.register_buffer('mask', torch.ones(2, dtype=torch.bool))
        self.register_buffer('number', torch.tensor(0.0))


def after_400(average):
    """The buffers of an averaged model, after 400 updates."""
    model = Module()
    averaged = average(model)
    for update in range(1, 401):
        model.count += 1
        model.number += 1
        model.mask[1] = update < 200
        averaged.update_parameters(model)
    found = averaged.module
    return found.count.item(), bool(found.mask[1]), round(found.number.item(), 1)


ways = {
    f'mmengine {mmengine.__version__}, update_buffers={update}': (
        lambda model, update=update: ExponentialMovingAverage(
            model, momentum=0.01, update_buffers=update
        )
    )
    for update in (False, True)
}
ways[f'torch {torch.__version__}, use_buffers=True'] = lambda model: AveragedModel(
    model, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True
)
seen = []
for name, average in ways.items():
    seen.append(after_400(average))
    count, on, number = seen[-1]
    print(
        f'{name}: a counter of 400 is {count}, the unit switched off is on: {on}, a '
        f'float of 400 is {number}'
    )
expected = [(400, False, 400.0), (1, True, 302.8)]
raise SystemExit(seen[:2] != expected or not 300 <= seen[2][0] <= 303)
PYTHON
