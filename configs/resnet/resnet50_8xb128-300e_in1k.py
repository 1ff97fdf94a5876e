"""ResNet-50 on ImageNet, without regularisation (Table 1, row 1).

    tools/dist_train.sh configs/resnet/resnet50_8xb128-300e_in1k.py 8

trains on 8 GPUs with 128 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. 300 epochs of 1,251 batches.

Paper: 76.51 top-1, 93.20 top-5 on val, the best of training. Not trained here.
Cost: 9.3e18 floating-point operations, about 290 GPU hours on V100s or 110 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    '../_base_/models/resnet50_tpu.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/sgd_300e_in1k.py',
    '../_base_/classification_runtime.py',
]
