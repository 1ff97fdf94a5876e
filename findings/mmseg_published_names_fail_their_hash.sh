#!/usr/bin/env bash
# mmsegmentation 1.2.2: what its publish_model.py writes is refused by torch's own check.
#
# A good guess: NAME-HASH.pth of publish_model.py ends with the hash of that file, as
# torch.hub asks of such names, and as mmdet's and mmpretrain's scripts of the same name
# do it. mmseg's takes the hash of the checkpoint that it read, with the optimizer's
# state in it (.mim/tools/misc/publish_model.py, process_checkpoint): no download of the
# published file passes check_hash. And it strips letters, not an ending, off the name:
# rstrip('.pth') makes unet_depth.pth into unet_de.
#
# Seen on 2026-11-29: unet_depth.pth comes out as unet_de-HASH.pth; torch.hub:
# "RuntimeError: invalid hash value".
# Installs pinned public packages in a temporary folder (1 to 6 GB), and fails if what
# they do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.2.6
"$folder/venv/bin/pip" install -q --no-compile --no-deps mmsegmentation==1.2.2

cd "$folder"
cat > script.py <<'PYTHON'
import importlib.util
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch

script = Path(importlib.util.find_spec('mmseg').origin).parent
script = script / '.mim/tools/misc/publish_model.py'
weights = dict(state_dict=dict(weight=torch.ones(3)), optimizer=dict(state={}))
torch.save(weights, 'epoch_1.pth')
subprocess.run([sys.executable, script, 'epoch_1.pth', 'unet_depth.pth'], check=True)
while Path('unet_depth.pth').exists():  # it does not wait for its own mv
    time.sleep(0.1)
(written,) = Path().glob('*-*.pth')
try:
    torch.hub.load_state_dict_from_url(
        written.absolute().as_uri(), 'downloads', progress=False, check_hash=True
    )
    said = 'loads'
except RuntimeError as error:
    said = f'RuntimeError: {str(error).partition(" (")[0]}'
name = written.name.partition('-')[0]
print(f'mmseg {version("mmsegmentation")}: unet_depth.pth is {name}-HASH.pth; {said}')
raise SystemExit((name, said) != ('unet_de', 'RuntimeError: invalid hash value'))
PYTHON
venv/bin/python -W ignore script.py
