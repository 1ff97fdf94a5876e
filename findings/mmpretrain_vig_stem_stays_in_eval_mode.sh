#!/usr/bin/env bash
# mmpretrain 1.2.0: the stem of Vig and PyramidVig stays in eval mode, always.
#
# A good guess: frozen_stages=0, the default, freezes nothing, as its description says
# ("not freezing any parameters"), so train() puts the whole network into training mode.
# The method that freezes stages puts the stem into eval mode first, whatever their
# number is. In a training from scratch the norms of the stem then never normalise by
# their batch, but by mean 0 and variance 1, as they were initialised; its weights are
# trained. A regulariser put there does nothing.
#
# Seen: with frozen_stages=0 none of the stem's norms is in training mode, its parameters
# get a gradient, and its running means are 0 after a step; all other norms train.
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
import torch
from mmpretrain import __version__
from mmpretrain.models.backbones import PyramidVig, Vig
from torch.nn.modules.batchnorm import _BatchNorm


def norms_in(module):
    return [part for part in module.modules() if isinstance(part, _BatchNorm)]


seen = []
for kind in (Vig, PyramidVig):
    torch.manual_seed(0)
    model = kind(arch='tiny', frozen_stages=0)
    model.train()
    stem = norms_in(model.stem)
    others = [norm for norm in norms_in(model) if norm not in stem]
    output = model(torch.randn(2, 3, 224, 224))[-1]
    output.square().mean().backward()
    seen.append(
        (
            sum(norm.training for norm in stem),
            all(norm.training for norm in others),
            all(parameter.grad is not None for parameter in model.stem.parameters()),
            all(not norm.running_mean.any() for norm in stem),
        )
    )
    training, rest, learned, still = seen[-1]
    print(
        f'mmpretrain {__version__}: {kind.__name__} with frozen_stages=0, after '
        f'train(): {training} of {len(stem)} norms of the stem are in training mode '
        f'(all {len(others)} others: {rest}); after a step its parameters have a '
        f'gradient: {learned}; its running means are still 0: {still}'
    )
raise SystemExit(seen != [(0, True, True, True)] * 2)
PYTHON
