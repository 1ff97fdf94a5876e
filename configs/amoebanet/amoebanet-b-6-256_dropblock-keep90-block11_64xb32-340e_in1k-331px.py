"""AmoebaNet-B (6, 256) on ImageNet with DropBlock 11x11 (Table 2, row 2).

    tools/slurm_train.sh PARTITION amoebanet configs/amoebanet/*block11_64xb32* WORK_DIR

trains on 64 GPUs (`GPUS=64`) with 32 images each; with `python tools/train.py` and
fewer GPUs add `--auto-scale-lr`. 340 epochs of 625 batches.

DropBlock after every normalisation and on the skip connections of the last half of the
cells (section 4.1.2): 132 places in cells 12 to 22, whose maps are 21x21 and 11x11. On
the latter a block is the whole map, so whole channels are dropped there. The paper does
not say which cells, connections and schedule it means: see the README.

Paper: 82.52 top-1, 96.07 top-5 on val, the best of training. Not trained here.
Cost: 1.3e20 floating-point operations, a quarter of them for computing cells again,
about 4,100 GPU hours on V100s or 1,600 on A100s without mixed precision (estimated from
four times 37.87 billion multiply-adds an image and the rates in docs/en/cost.md; not
measured, and depthwise convolutions are slower than those rates).
"""

_base_ = './amoebanet-b-6-256_64xb32-340e_in1k-331px.py'

custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        targets=[dict(module=r'backbone\.cell(1[2-9]|2[0-2])')],
        block_size=11,
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
    *_base_.custom_hooks,
]
