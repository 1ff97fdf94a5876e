"""ResNet-50 on ImageNet, DropBlock 7x7 and label smoothing (Table 1, row 9).

    tools/dist_train.sh configs/resnet/*_dropblock-*330e* 8

trains on 8 GPUs with 128 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. 330 epochs of 1,251 batches. As the config with label smoothing, with
DropBlock in layer3 (a quarter of gamma) and layer4, and keep_prob from 1 to 0.9 over
the longer training. The paper does not name the drops of the learning rate in it:
epochs 110, 220 and 293, by the rule of the authors' code, which takes 30, 60 and 80 of
90 epochs in proportion.

Paper: 78.35 top-1, 94.15 top-5 on val, the best of training. Not trained here.
Cost: 1.0e19 floating-point operations, about 320 GPU hours on V100s or 130 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    './resnet50_label-smooth_8xb128-300e_in1k.py',
    '../_base_/dropblock/resnet_c4c5.py',
]

max_epochs = 330
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].milestones = [110, 220, 293]
