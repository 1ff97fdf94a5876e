#!/usr/bin/env bash
# mmengine's ExponentialLR(gamma=g, by_epoch=True, convert_to_iter_based=True) keeps g when
# it becomes a schedule of iterations: the rate falls by g at every iteration, not in the
# course of an epoch. LinearLR and MultiStepLR scale what they count by the epoch's length.
#
# Expected by its documentation ("Whether convert epoch-based to iter-based"): after an
# epoch of 100 iterations and g = 0.5 the rate is half. Seen: 0.5 ** 100 of it.
#
# Exits nonzero if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q 'mmengine-lite==0.10.7' 'torch==2.14.1' numpy
"$work/env/bin/python" - <<'PYTHON'
import mmengine
import torch
from mmengine.registry import PARAM_SCHEDULERS
import mmengine.optim  # registers the schedules

print('mmengine', mmengine.__version__, 'torch', torch.__version__)
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
schedule = PARAM_SCHEDULERS.build(
    dict(type='ExponentialLR', gamma=0.5, by_epoch=True, convert_to_iter_based=True),
    default_args=dict(optimizer=optimizer, epoch_length=100),
)
for _ in range(100):
    optimizer.step()
    schedule.step()
rate = optimizer.param_groups[0]['lr']
print(f'rate after an epoch of 100 iterations with gamma 0.5: {rate:.3g}, expected 0.5')
assert rate < 1e-29, 'the conversion takes the length of an epoch into account now'
PYTHON
