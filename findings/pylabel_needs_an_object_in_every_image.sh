#!/usr/bin/env bash
# pylabel 0.1.55 and pandas 3.0.6: a COCO file with one image without objects is not read.
#
# A good guess: pylabel names pandas without a limit, imports with pandas 3, and reads
# and writes COCO, VOC and YOLO files with it, so it reads any COCO file; images without
# objects are part of COCO itself. ImportCoco joins images and annotations in one table
# and then writes '' into what is missing (importer.py, `df.fillna("")`): for an image
# without objects that is the numbers of a box, and pandas 3 no longer turns a column of
# numbers into one of anything. With pandas 2 the same file is read.
#
# Seen on 2026-11-29: with pandas 3 every image with an object: read; one without:
# "TypeError: Invalid value '' for dtype 'float64'"; with pandas 2 both are read.
# Installs pinned public packages in a temporary folder (1 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile pylabel==0.1.55 pandas==3.0.6 \
    numpy==2.2.6

cd "$folder"
cat > script.py <<'PYTHON'
import json

import pandas
from pylabel.importer import ImportCoco

cat = dict(id=1, name='cat', supercategory='animal')
box = dict(id=1, image_id=1, category_id=1, bbox=[4, 4, 16, 16], area=256, iscrowd=0)
box['segmentation'] = []


def read(images):
    pictures = [dict(id=i, file_name=f'{i}.jpg', width=32, height=32) for i in images]
    content = dict(images=pictures, annotations=[box], categories=[cat])
    with open('coco.json', 'w') as file:
        json.dump(content, file)
    try:
        return f'{len(ImportCoco("coco.json").df)} rows'
    except TypeError as error:
        return f'TypeError: {error}'


print(f'pandas {pandas.__version__[0]}: {read([1])}; with an empty image {read([1, 2])}')
PYTHON

venv/bin/python -W ignore script.py > seen.txt
venv/bin/pip install -q --no-compile pandas==2.3.3
venv/bin/python -W ignore script.py >> seen.txt
venv/bin/pip list 2>/dev/null | grep -E '^pylabel '
cat seen.txt
cat > expected.txt <<'TEXT'
pandas 3: 1 rows; with an empty image TypeError: Invalid value '' for dtype 'float64'
pandas 2: 1 rows; with an empty image 2 rows
TEXT
diff expected.txt seen.txt
