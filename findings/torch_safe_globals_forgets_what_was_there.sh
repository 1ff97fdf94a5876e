#!/usr/bin/env bash
# torch 2.14.1: leaving `torch.serialization.safe_globals([X])` also removes an X that
# `add_safe_globals([X])` had allowed before.
#
# A good guess: a context manager puts things back as they were, so a class that a
# program allows once, for good, stays allowed whatever libraries do in between. It
# does not: the context ends by removing its own list from the one set that all share.
# A library that loads its files inside such a context (onedl-mmengine 0.10.12 does)
# so takes away what its caller had allowed, and the caller's next torch.load fails.
#
# Seen: allowed before: True; inside: True; after: False.
# Installs a pinned public package in a temporary folder (6 GB), and fails if what it
# does has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 numpy==2.2.6

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from torch.serialization import add_safe_globals, get_safe_globals, safe_globals


class History:
    """What a checkpoint holds beside its tensors."""


def allowed():
    return History in get_safe_globals()


add_safe_globals([History])
found = [allowed()]
with safe_globals([History]):
    found.append(allowed())
found.append(allowed())
before, inside, after = found
print(
    f'torch {torch.__version__}: allowed before: {before}; inside: {inside}; '
    f'after: {after}'
)
raise SystemExit(found != [True, True, False])
PYTHON
