#!/usr/bin/env bash
# timm 1.0.31: DropBlock2d(drop_prob=0.1, block_size=7) drops 93 % of a map of 7 x 7.
#
# A good guess: drop_prob is about the share that is dropped, as the class describes it,
# and a block that is as large as the map drops it whole with that probability, as the
# paper has it and torchvision does it. gamma is computed for the places where a whole
# block fits, a single one here; seeds are drawn at all 49 (layers/drop.py,
# drop_block_2d), and one block per seed is cut off at the border. The unit in the middle
# is under all of them: it is kept with .9 to the power of 49. So it is with the paper's
# block of 7 in the last stage of a ResNet at 224 pixels; training goes on, by noise.
#
# Seen on 2026-11-29, drop_prob .1, block 7, a mask for each channel: timm keeps .07 of
# 7 x 7 and .005 of its middle, .79 of 14 x 14, .89 of 56 x 56; torchvision .91, .91, .91.
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 \
    torchvision==0.29.1 timm==1.0.31 numpy==2.2.6

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import timm
import torch
import torchvision
from timm.layers import DropBlock2d
from torchvision.ops import drop_block2d

BLOCK, RATE = 7, 0.1
timms = DropBlock2d(drop_prob=RATE, block_size=BLOCK, couple_channels=False)


def kept(drop, side):
    """Share of all units that is kept, and of those in the middle."""
    torch.manual_seed(0)
    mask = drop(torch.ones(64, 128, side, side)) != 0
    middle = mask[..., side // 2, side // 2]
    return mask.float().mean().item(), middle.float().mean().item()


seen = []
for side in (7, 14, 56):
    ours = kept(timms.train(), side)
    others = kept(lambda x: drop_block2d(x, RATE, BLOCK), side)
    seen.append((*ours, others[0]))
    print(
        f'{side} x {side}: timm {timm.__version__} keeps {ours[0]:.3f}, of the middle '
        f'{ours[1]:.3f}; torchvision {torchvision.__version__} {others[0]:.3f}'
    )
expected = [(0.075, 0.9**49, 0.9), (0.789, 0.727, 0.907), (0.888, 0.878, 0.903)]
found = [value for row in seen for value in row]
wanted = [value for row in expected for value in row]
raise SystemExit(any(abs(a - b) > 0.015 for a, b in zip(found, wanted)))
PYTHON
