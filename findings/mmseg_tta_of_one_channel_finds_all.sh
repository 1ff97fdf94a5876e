#!/usr/bin/env bash
# mmsegmentation 1.2.2: with test-time augmentation a one-channel segmentor finds
# foreground everywhere.
#
# A good guess: SegTTAModel averages what the model predicts for an image and its mirror,
# so where both views say the same the answer is that of the model alone. With one output
# channel, which mmseg's FAQ offers for two classes, the segmentor stores probabilities as
# seg_logits (models/segmentors/base.py, postprocess_result), though they are documented
# as "before normalization"; SegTTAModel.merge_preds takes the sigmoid again, and what
# comes out lies between .5 and .73 for any pixel. That is above any threshold up to a
# half, the default of .3 among them: every pixel is foreground, and nothing warns.
#
# Seen on 2026-11-29, threshold .5, a model that says one probability everywhere: of .01
# and .3 it finds 0 % of the pixels, with test-time augmentation 100 %; of .9 both 100 %.
# Installs pinned public packages in a temporary folder (1 to 6 GB), and fails if what
# they do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.2.6 \
    mmengine==0.10.7 mmcv-lite==2.1.0 prettytable==3.18.0 scipy==1.15.3 \
    ftfy==6.3.1 regex==2026.9.29 setuptools==80.9.0
"$folder/venv/bin/pip" install -q --no-compile --no-deps mmsegmentation==1.2.2
# MMEngine asks for the desktop build of OpenCV; both own the same files.
"$folder/venv/bin/pip" install -q --force-reinstall --no-deps \
    opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
import types

import torch

# mmseg imports mmcv's compiled operators; nothing here calls one.
operators = types.ModuleType('mmcv.ops')
operators.__getattr__ = lambda name: None
sys.modules['mmcv.ops'] = operators

import mmseg
from mmengine.config import ConfigDict
from mmseg.models import SegTTAModel
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules

register_all_modules()


def segmentor(probability):
    """One whose head says the same probability everywhere."""
    model = EncoderDecoder(
        backbone=dict(
            type='ResNet', depth=18, num_stages=1, strides=(1,), dilations=(1,),
            out_indices=(0,), norm_cfg=dict(type='BN'),
        ),
        decode_head=dict(
            type='FCNHead', in_channels=64, channels=64, in_index=0, num_convs=0,
            concat_input=False, num_classes=2, out_channels=1, threshold=0.5,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
        ),
        test_cfg=ConfigDict(mode='whole'),
    )
    last = model.decode_head.conv_seg
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, torch.logit(torch.tensor(probability)).item())
    return model.eval()


def sample(flipped):
    direction = 'horizontal' if flipped else None
    return SegDataSample(
        metainfo=dict(
            img_path='a.png', ori_shape=(8, 8), img_shape=(32, 32),
            flip=flipped, flip_direction=direction,
        )
    )


@torch.no_grad()
def foreground(probability):
    """Share of pixels found: by the model, and by it with the image and its mirror."""
    model, image = segmentor(probability), torch.rand(1, 3, 32, 32)
    views = [
        model.predict(image, [sample(False)])[0],
        model.predict(image.flip(3), [sample(True)])[0],
    ]
    plain = views[0].pred_sem_seg.data.mean().item()
    merged = SegTTAModel(module=model).merge_preds([views])[0]
    return plain, merged.pred_sem_seg.data.mean().item()


seen = []
for probability in (0.01, 0.3, 0.9):
    seen.append(foreground(probability))
    print(
        f'mmseg {mmseg.__version__}: probability {probability}, threshold 0.5: '
        f'foreground {seen[-1][0]:.0%}, with test-time augmentation {seen[-1][1]:.0%}'
    )
raise SystemExit(seen != [(0, 1), (0, 1), (1, 1)])
PYTHON
