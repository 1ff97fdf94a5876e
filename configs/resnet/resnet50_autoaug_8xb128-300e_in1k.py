"""ResNet-50 on ImageNet with AutoAugment (Table 1, row 6).

    tools/dist_train.sh configs/resnet/*_autoaug_* 8

trains on 8 GPUs with 128 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. 300 epochs of 1,251 batches. After crop and flip one of the 25
policies that AutoAugment's paper prints for ImageNet; the authors' code of 2020 has
other ones (its `v0`). What turns and shifts leave open is filled with grey, 128, as
there. The paper gives this row no deviation, so the number may be that paper's.

Paper: 77.63 top-1, 93.82 top-5 on val, the best of training. Not trained here.
Cost: 9.3e18 floating-point operations, about 290 GPU hours on V100s or 110 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    './resnet50_8xb128-300e_in1k.py',
    '../_base_/datasets/autoaugment.py',
]

train_pipeline = _base_.train_pipeline
train_pipeline.insert(-1, _base_.autoaugment)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
