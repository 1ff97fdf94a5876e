"""AmoebaNet-B (6, 256) on ImageNet (Table 2, row 1).

    tools/slurm_train.sh PARTITION amoebanet configs/amoebanet/*256_64xb32* WORK_DIR

trains on 64 GPUs (`GPUS=64`) with 32 images each; with `python tools/train.py` and
fewer GPUs add `--auto-scale-lr`. 340 epochs of 625 batches.

Paper: 82.25 top-1, 95.88 top-5 on val, the best of training. Not trained here.
Cost: COST
"""

_base_ = [
    '../_base_/models/amoebanet_b_6x256.py',
    '../_base_/datasets/imagenet_331.py',
    '../_base_/schedules/rmsprop_340e_in1k.py',
    '../_base_/classification_runtime.py',
]
