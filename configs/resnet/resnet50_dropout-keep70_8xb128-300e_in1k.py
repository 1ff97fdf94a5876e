"""ResNet-50 on ImageNet with dropout (Table 1, row 2).

    tools/dist_train.sh configs/resnet/*_dropout-* 8

trains on 8 GPUs with 128 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. 300 epochs of 1,251 batches. Dropout of units at keep_prob 0.7, the
paper's best, on the convolution branches of layer3 (with a quarter of the rate) and
layer4. The paper does not name a schedule: there is none, as in the column of its
Figure 4 of which dropout is block size 1.

Paper: 76.80 top-1, 93.41 top-5 on val, the best of training. Not trained here.
Cost: 9.3e18 floating-point operations, about 290 GPU hours on V100s or 110 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    './resnet50_8xb128-300e_in1k.py',
    '../_base_/dropblock/resnet_c4c5_dropout.py',
]
