#!/usr/bin/env bash
# mmengine 0.10.7: the milestones of MultiStepLR count from `begin`, not from the start.
#
# A good guess: milestones are "epoch indices" (or iterations), as the class describes
# them, so they say when the rate falls, whatever `begin` says. A schedule counts its own
# steps, and those before `begin` are none (optim/scheduler/param_scheduler.py,
# _ParamScheduler.step): the rate falls `begin` later than the config says, and a run
# may end before the last fall. K-Net's and PSPNet's configs of mmsegmentation 1.2.2 are
# so, behind a warm-up: begin=1000, milestones=[60000, 72000].
#
# Seen on 2026-11-29, 12 epochs, milestones [8, 11]: with begin=0 the rate falls at 8
# and 11; with begin=3 at 11 alone, by the first milestone.
# Installs pinned public packages in a temporary folder (1 to 6 GB), and fails if what
# they do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.2.6 \
    mmengine==0.10.7 setuptools==80.9.0

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import mmengine
import torch
from mmengine.optim.scheduler import LinearLR, MultiStepLR


def falls(begin):
    """Epochs, of 12, at which the rate is lower than in the one before."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    weight.grad = torch.zeros(1)
    schedules = [
        LinearLR(optimizer, start_factor=0.1, begin=0, end=3),
        MultiStepLR(optimizer, milestones=[8, 11], begin=begin, end=12),
    ]
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for schedule in schedules:
            schedule.step()
    return [epoch for epoch in range(1, 12) if rates[epoch] < rates[epoch - 1]]


found = [falls(0), falls(3)]
print(
    f'mmengine {mmengine.__version__}, milestones=[8, 11]: with begin=0 the rate falls '
    f'at {found[0]}, with begin=3 at {found[1]}'
)
raise SystemExit(found != [[8, 11], [11]])
PYTHON
