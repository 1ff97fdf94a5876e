#!/usr/bin/env bash
# torchvision 0.29.1: an odd block_size ends training once a map is even and smaller.
#
# A good guess: an odd block_size suits maps of every size, since DropBlock2d makes a
# block that is larger than the map as large as the map; that it asks for odd blocks its
# description does not say. The order is the other way round (ops/drop_block.py,
# drop_block2d): the block is cut to the map first, and then has to be odd. A training
# with images of several sizes goes well until a small one comes, with an error about a
# block size that nobody gave; and block 7 cannot be used on the 4x4 maps of a CIFAR
# network at all. timm 1.0.31 takes even blocks and even maps.
#
# Seen on 2026-11-29, block_size=7: maps of 14, 8, 7 and 5 go well, 6 and 4 raise
# "ValueError: block size should be odd. Got 6 which is even."
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 \
    torchvision==0.29.1 numpy==2.2.6 pillow==12.3.0

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
import torchvision

layer = torchvision.ops.DropBlock2d(p=0.1, block_size=7)
found = {}
for side in (14, 8, 7, 6, 5, 4):
    try:
        layer(torch.ones(1, 1, side, side))
        found[side] = 'goes well'
    except ValueError as error:
        found[side] = f'ValueError: {error}'
print(f'torchvision {torchvision.__version__}, block_size=7')
for side, said in found.items():
    print(f'a map of {side}x{side}: {said}')
expected = {
    side: f'ValueError: block size should be odd. Got {side} which is even.'
    if side in (6, 4)
    else 'goes well'
    for side in found
}
raise SystemExit(found != expected)
PYTHON
