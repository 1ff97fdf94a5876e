#!/usr/bin/env bash
# mmengine 0.10.7: ClassBalancedDataset shows images twice of a class that lacks a hair.
#
# A good guess: an image is repeated r = max(1, sqrt(oversample_thr / frequency)) times,
# the "degree of oversampling" that the class describes, in the mean, as detectron2's
# sampler does it for LVIS: a class that is in 49 of 100 images, with a threshold of .5,
# gets 1 % more. Each factor is rounded up instead (dataset/dataset_wrapper.py,
# full_init, math.ceil), and 1.01 is 2. So what was slightly rarer than the threshold
# becomes the majority, an epoch is longer by half, and every factor between 1 and 2
# does the same.
#
# Seen on 2026-11-29, 100 images, 49 of them of the class 1, oversample_thr=.5: 149
# images in an epoch, 98 of the class 1, which is 66 %; with .49 (a factor of 1) 100 and
# 49; with a frequency of .13, a factor of 1.96, the same 2.
# Installs pinned public packages in a temporary folder (1 to 6 GB), and fails if what
# they do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.2.6 \
    mmengine==0.10.7 setuptools==80.9.0
# MMEngine asks for the desktop build of OpenCV; both own the same files.
"$folder/venv/bin/pip" install -q --force-reinstall --no-deps \
    opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import mmengine
from mmengine.dataset import BaseDataset, ClassBalancedDataset


class Images(BaseDataset):
    """100 images, of which the first ones are of the class 1 and the rest of 0."""

    def __init__(self, rare):
        self.rare = rare
        super().__init__(serialize_data=False)

    def load_data_list(self):
        return [dict(label=int(index < self.rare)) for index in range(100)]

    def get_cat_ids(self, idx):
        return [self.get_data_info(idx)['label']]


def epoch(rare, threshold):
    """Images in an epoch, and how many of them are of the class 1."""
    balanced = ClassBalancedDataset(Images(rare), oversample_thr=threshold)
    labels = [balanced.get_data_info(index)['label'] for index in range(len(balanced))]
    return len(labels), sum(labels)


seen = []
for rare, threshold in ((49, 0.5), (49, 0.49), (13, 0.5)):
    seen.append(epoch(rare, threshold))
    factor = max(1, (threshold / (rare / 100)) ** 0.5)
    print(
        f'mmengine {mmengine.__version__}: {rare} of 100 images, oversample_thr='
        f'{threshold}, factor {factor:.2f}: {seen[-1][0]} images in an epoch, '
        f'{seen[-1][1]} of the class'
    )
raise SystemExit(seen != [(149, 98), (100, 49), (113, 26)])
PYTHON
