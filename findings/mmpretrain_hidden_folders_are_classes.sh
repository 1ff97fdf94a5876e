#!/usr/bin/env bash
# mmpretrain 1.2.0 with mmengine 0.10.7: a hidden folder becomes class 0.
#
# A good guess: file listings of MMEngine skip hidden names, as list_dir_or_file's
# description says, so a folder left by an editor among class folders does no harm.
# It skips hidden files only. A notebook's `.ipynb_checkpoints` beside the classes is
# listed; it sorts before letters, so CustomDataset makes it class 0 and shifts all
# others by one. An empty one is warned of as empty and stays a class.
#
# Seen: three classes of two, labels 1 and 2 in place of 0 and 1.
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 \
    torchvision==0.29.1 numpy==2.2.6 'setuptools<81' \
    mmengine==0.10.7 mmcv-lite==2.1.0 mmpretrain==1.2.0 pillow==12.3.0
# MMEngine asks for the desktop build of OpenCV; both own the same files.
"$folder/venv/bin/pip" install -q --force-reinstall --no-deps \
    opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" -W ignore - "$folder/images" <<'PYTHON'
import sys
from pathlib import Path

import mmengine
from mmpretrain import __version__
from mmpretrain.datasets import CustomDataset
from PIL import Image

root = Path(sys.argv[1])
for name in ('cat', 'dog'):
    (root / name).mkdir(parents=True)
    Image.new('RGB', (8, 8)).save(root / name / 'a.png')
plain = CustomDataset(data_root=str(root))
(root / '.ipynb_checkpoints').mkdir()
hidden = CustomDataset(data_root=str(root))

print(f'mmpretrain {__version__}, mmengine {mmengine.__version__}')
labels = []
for what, data in (('classes alone', plain), ('with a hidden folder', hidden)):
    labels.append([data[index]['gt_label'] for index in range(len(data))])
    print(f'{what}: classes {data.CLASSES}, labels {labels[-1]}')
expected = (('.ipynb_checkpoints', 'cat', 'dog'), [[0, 1], [1, 2]])
raise SystemExit((tuple(hidden.CLASSES), labels) != expected)
PYTHON
