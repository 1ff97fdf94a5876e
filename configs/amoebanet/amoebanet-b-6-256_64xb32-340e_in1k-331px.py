"""AmoebaNet-B (6, 256) on ImageNet (Table 2, row 1).

    tools/slurm_train.sh PARTITION amoebanet configs/amoebanet/*256_64xb32* WORK_DIR

trains on 64 GPUs (`GPUS=64`) with 32 images each; with `python tools/train.py` and
fewer GPUs add `--auto-scale-lr`. 340 epochs of 625 batches.

Paper: 82.25 top-1, 95.88 top-5 on val, the best of training. Not trained here.
Cost: 1.3e20 floating-point operations, a quarter of them for computing cells again,
about 4,100 GPU hours on V100s or 1,600 on A100s without mixed precision (estimated from
four times 37.87 billion multiply-adds an image and the rates in docs/en/cost.md; not
measured, and depthwise convolutions are slower than those rates).
"""

_base_ = [
    '../_base_/models/amoebanet_b_6x256.py',
    '../_base_/datasets/imagenet_331.py',
    '../_base_/schedules/rmsprop_340e_in1k.py',
    '../_base_/classification_runtime.py',
]
