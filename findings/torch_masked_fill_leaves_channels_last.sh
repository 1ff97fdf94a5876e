#!/usr/bin/env bash
# torch 2.14.1: masked_fill leaves channels last, and compiled its in-place form does too.
#
# A good guess: an elementwise operation keeps the memory format of what it is given, so
# x.masked_fill(mask, 0) of channels-last tensors is channels last, as x * ~mask,
# torch.where(mask, 0, x) and dropout are; and torch.compile returns the strides of the
# eager call. masked_fill alone makes its copy contiguous, whatever the layout of both,
# and compilers write masked_fill_ as masked_fill: what keeps its format in eager mode
# loses it once it is compiled. No number changes; a convolution that follows takes the
# other format, and the network behind it as well.
#
# Seen on 2026-11-29, of channels-last inputs: masked_fill contiguous, eager and compiled,
# and so is a convolution of it; masked_fill_ of a clone channels last, compiled
# contiguous; the other three are channels last in both ways.
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 numpy==2.2.6

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from torch import nn

LAST = torch.channels_last
WAYS = {
    'x.masked_fill(mask, 0)': lambda x, mask: x.masked_fill(mask, 0),
    'x.clone().masked_fill_(mask, 0)': lambda x, mask: x.clone().masked_fill_(mask, 0),
    'torch.where(mask, 0, x)': lambda x, mask: torch.where(mask, 0, x),
    'x * ~mask': lambda x, mask: x * ~mask,
    'dropout(x)': lambda x, mask: nn.functional.dropout(x),
}
torch.manual_seed(0)
x = torch.randn(2, 8, 6, 6).to(memory_format=LAST)
mask = (torch.rand(2, 8, 6, 6) < 0.2).to(memory_format=LAST)
plain = nn.Conv2d(8, 8, 1)


def formats(way):
    """Whether a way keeps channels last: eager, as compiled, and behind a convolution."""
    torch._dynamo.reset()
    out = way(x, mask)
    compiled = torch.compile(way, backend='inductor')(x, mask)
    tensors = (out, compiled, plain(out))
    return tuple(tensor.is_contiguous(memory_format=LAST) for tensor in tensors)


seen = {}
for name, way in WAYS.items():
    seen[name] = formats(way)
    print(
        f'torch {torch.__version__}, {name}: channels last {seen[name][0]}, compiled '
        f'{seen[name][1]}, behind a convolution {seen[name][2]}'
    )
copied, in_place, *others = seen.values()
expected = ((False, False, False), (True, False, True), [(True, True, True)] * 3)
raise SystemExit((copied, in_place, others) != expected)
PYTHON
