#!/usr/bin/env bash
# mmpretrain 1.2.0: AutoAugment turns images against blue, whatever its hparams say.
#
# A good guess: hparams=dict(pad_val=...) of AutoAugment is what turned and sheared
# images are filled with, as its description has it and as RandAugment does it; and its
# default of 128 is the grey of the paper. AutoAugment merges hparams into a
# list that it prints, and builds the operations from the other one
# (datasets/transforms/auto_augment.py, AutoAugment.__init__). So pad_val stays 128,
# and one number is the first channel's to OpenCV: images are BGR there, and the
# corners (128, 0, 0), a blue. RandAugment takes its hparams, and its default is blue too.
#
# Seen on 2026-11-29: AutoAugment fills with (128, 0, 0) with hparams=dict(pad_val=[104,
# 116, 124]) and without; RandAugment with (104, 116, 124), and (128, 0, 0) without.
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 \
    torchvision==0.29.1 numpy==2.2.6 'setuptools<81' \
    mmengine==0.10.7 mmcv-lite==2.1.0 mmpretrain==1.2.0 \
    opencv-python-headless==4.12.0.88
# MMEngine asks for the desktop build of OpenCV; both own the same files.
"$folder/venv/bin/pip" install -q --force-reinstall --no-deps \
    opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import mmpretrain
import numpy as np
from mmpretrain.datasets.transforms import AutoAugment, RandAugment

white = np.full((64, 64, 3), 255, np.uint8)
turn = dict(type='Rotate', prob=1.0)


def corner(transform):
    """The colour that a turned white image has in a corner."""
    turned = transform(dict(img=white.copy()))['img']
    return tuple(int(value) for value in turned[0, 0])


def filled(**hparams):
    auto = AutoAugment([[dict(turn, angle=45.0)]], **hparams)
    turns = [dict(turn, magnitude_range=(0, 45))]
    rand = RandAugment(turns, num_policies=1, magnitude_level=10, **hparams)
    return {type(found).__name__: corner(found) for found in (auto, rand)}


given, left_out = filled(hparams=dict(pad_val=[104, 116, 124])), filled()
print(f'mmpretrain {mmpretrain.__version__}')
print(f'filled with, hparams=dict(pad_val=[104, 116, 124]): {given}')
print(f'filled with, no hparams: {left_out}')
blue, mean = (128, 0, 0), (104, 116, 124)
expected = (
    dict(AutoAugment=blue, RandAugment=mean),
    dict(AutoAugment=blue, RandAugment=blue),
)
raise SystemExit((given, left_out) != expected)
PYTHON
