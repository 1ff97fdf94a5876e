#!/usr/bin/env bash
# mmdet 3.3.0: a resumed run warms its DropBlock up again.
#
# A good guess: the warm-up of mmdet's DropBlock is part of a training's state, so that
# a run resumed at iteration 100,000 drops what it dropped before. And warmup_iters
# counts iterations, as it is named. The layer counts its own calls in training mode in
# a plain number (models/layers/dropblock.py, iter_cnt), which no state_dict has: after
# every resume the rate begins at 0. A layer that is called twice in an iteration, by
# activation checkpointing or for several batches of one step, is through in half the
# time.
#
# Seen on 2026-11-29, warmup_iters=100, drop_prob=0.5, after 1,000 iterations: gamma is
# all of it; in the first iteration after the state was loaded, a hundredth. 50
# iterations count 100 with activation checkpointing.
# Installs pinned public packages in a temporary folder (1 to 6 GB), and fails if what
# they do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.2.6 \
    mmengine==0.10.7 mmcv-lite==2.1.0 setuptools==80.9.0
"$folder/venv/bin/pip" install -q --no-compile --no-deps mmdet==3.3.0
# MMEngine asks for the desktop build of OpenCV; both own the same files.
"$folder/venv/bin/pip" install -q --force-reinstall --no-deps \
    opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import importlib.util
from pathlib import Path

import mmdet
import torch
from torch.utils.checkpoint import checkpoint

# All of mmdet.models needs mmcv's compiled operators; this file needs torch alone.
path = Path(mmdet.__file__).with_name('models') / 'layers/dropblock.py'
spec = importlib.util.spec_from_file_location('dropblock', path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


def layer():
    return module.DropBlock(drop_prob=0.5, block_size=3, warmup_iters=100)


def gamma_of_next(dropping):
    dropping(x)
    return dropping._compute_gamma(x.shape[2:])


x = torch.ones(1, 1, 16, 16, requires_grad=True)
trained = layer()
for _ in range(1000):
    trained(x)
resumed = layer()
resumed.load_state_dict(trained.state_dict())
share = gamma_of_next(resumed) / gamma_of_next(trained)

twice = layer()
for _ in range(50):
    checkpoint(twice, x, use_reentrant=False).sum().backward()

print(
    f'mmdet {mmdet.__version__}: state_dict has {list(trained.state_dict())}; gamma '
    f'after resuming is {share:.2f} of that before; 50 iterations with activation '
    f'checkpointing count {twice.iter_cnt}'
)
found = (len(trained.state_dict()), round(share, 2), twice.iter_cnt)
raise SystemExit(found != (0, 0.01, 100))
PYTHON
