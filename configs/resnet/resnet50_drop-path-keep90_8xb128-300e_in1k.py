"""ResNet-50 on ImageNet with DropPath (Table 1, row 3).

    tools/dist_train.sh configs/resnet/*_drop-path-* 8

trains on 8 GPUs with 128 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. 300 epochs of 1,251 batches. Each image loses whole residual branches
of layer4, where the paper found it best, with keep_prob from 1 to 0.9 linearly over
training, the same in all three blocks. Ours, since the paper does not say: a branch is
dropped at its end, before the sum, and those that are kept are divided by keep_prob.

Paper: 77.10 top-1, 93.50 top-5 on val, the best of training. Not trained here.
Cost: 9.3e18 floating-point operations, about 290 GPU hours on V100s or 110 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    './resnet50_8xb128-300e_in1k.py',
    '../_base_/dropblock/resnet_c5_drop_path.py',
]
