"""ResNet-50 on ImageNet with Cutout (Table 1, row 5).

    tools/dist_train.sh configs/resnet/*_cutout_* 8

trains on 8 GPUs with 128 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. 300 epochs of 1,251 batches. After crop and flip a square is filled
with the mean colour. The paper does not name its size: 112 pixels, half the side, as
Cutout's own paper has it on CIFAR-10. mmpretrain's Cutout acts on half of the images
where it is not told; here on all. Its square is moved inside at the left and upper
edge, and cut at the others.

Paper: 76.52 top-1, 93.21 top-5 on val, the best of training. Not trained here.
Cost: 9.3e18 floating-point operations, about 290 GPU hours on V100s or 110 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = './resnet50_8xb128-300e_in1k.py'

train_pipeline = _base_.train_pipeline
# The mean of ImageNet, blue first: zero after normalisation.
train_pipeline.insert(
    -1, dict(type='Cutout', shape=112, pad_val=(104, 116, 124), prob=1.0)
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
