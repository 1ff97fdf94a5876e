#!/usr/bin/env bash
# mmpretrain 1.2.0: drop_path_rate does nothing in SEResNet and Res2Net.
#
# A good guess: every ResNet of mmpretrain takes drop_path_rate, so each of them skips
# residual branches in training. SEBottleneck and Bottle2neck inherit the constructor
# of Bottleneck, which builds a DropPath with the rate, but their own forward never
# calls it. No error, no warning: the config says .9 and nothing is dropped.
#
# Seen: ResNet drops, SEResNet and Res2Net hold 15 DropPath modules and drop nothing.
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
from mmpretrain.models.backbones import Res2Net, ResNet, SEResNet
from mmpretrain.models.backbones.resnet import DropPath
from torch.nn.modules.batchnorm import _BatchNorm

expected = {'ResNet': True, 'SEResNet': False, 'Res2Net': False}
found = {}
for kind in (ResNet, SEResNet, Res2Net):
    torch.manual_seed(0)
    model = kind(depth=50, drop_path_rate=0.9)
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()  # so that DropPath alone can make two passes differ
    x = torch.randn(1, 3, 64, 64)
    found[kind.__name__] = not torch.equal(model(x)[0], model(x)[0])
    paths = [module for module in model.modules() if isinstance(module, DropPath)]
    rate = max(path.drop_prob for path in paths)
    print(
        f'mmpretrain {__version__}: {kind.__name__} with drop_path_rate=0.9 has '
        f'{len(paths)} DropPath (rate up to {rate:.1f}); two passes differ: '
        f'{found[kind.__name__]}'
    )
raise SystemExit(found != expected)
PYTHON
