#!/usr/bin/env bash
# torch 2.14.1: a copy of a model with a hook of its own runs the plain model's code.
#
# A good guess: two modules that are compiled by two calls of torch.compile each get the
# code for what they are, so a comparison "without and with a hook" can compile both.
# Dynamo keeps what it compiled with the class's forward, though, and decides by guards
# whether it fits another module; by default (skip_nnmodule_hook_guards) these ask for
# the hooks that were seen, and not whether there are others. Run after the plain model,
# the copy takes its code, and the hook is never called, without a word; run before it,
# both do as in eager mode. So the order of two runs decides what one of them computes.
# The documentation warns of hooks that are added to a module after it was compiled;
# here the hook was there before, on another module.
#
# Seen on 2026-11-29, a hook that multiplies by 0, the sum of what comes out:
# eager 0, copy after the plain model 2.66, copy before it 0, with
# skip_nnmodule_hook_guards=False 0.
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 numpy==2.2.6

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import copy

import torch
from torch import nn
from torch._dynamo import config


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x)


def compiled_sums(*models):
    """Compile all, then run one after the other; the sum of each one's output."""
    torch._dynamo.reset()
    ready = [torch.compile(model, backend='eager') for model in models]
    return [round(float(model(x).abs().sum()), 2) for model in ready]


torch.manual_seed(0)
x = torch.ones(1, 4)
plain = Network()
hooked = copy.deepcopy(plain)
hooked.layer.register_forward_hook(lambda module, inputs, out: out * 0)

sums = {'eager': [float(hooked(x).abs().sum())]}
sums['after the plain model'] = compiled_sums(plain, hooked)[1:]
sums['before the plain model'] = compiled_sums(hooked, plain)[:1]
with config.patch(skip_nnmodule_hook_guards=False):
    sums['after it, hooks guarded'] = compiled_sums(plain, hooked)[1:]
print(f'torch {torch.__version__}, the copy whose hook multiplies by 0')
for when, (found,) in sums.items():
    print(f'{when}: {found}')
raise SystemExit(list(sums.values()) != [[0.0], [2.66], [0.0], [0.0]])
PYTHON
