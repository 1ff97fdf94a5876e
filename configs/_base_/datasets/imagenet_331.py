"""ImageNet at 331x331 pixels: 32 images for each of 64 GPUs, and one crop to evaluate.

Training (`inception_preprocessing.py` in tensorflow/tpu's
`models/official/amoeba_net`): a crop of 10 % to 100 % of the area and an aspect ratio
of 3/4 to 4/3, resized bilinearly, a flip half of the time, and a shift of brightness
and chroma; values are in [-1, 1]. Evaluation: the middle 87.5 % of each side, resized
bilinearly to 331x331 whatever the shape; here the image is resized first, to 378x378,
and the crop taken from that.

The folder is as for imagenet_224.py.
"""

_base_ = './imagenet_224.py'

data_preprocessor = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5])
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop',
        scale=331,
        crop_ratio_range=(0.1, 1.0),
        aspect_ratio_range=(3.0 / 4.0, 4.0 / 3.0),
        interpolation='bilinear',
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='dropblock_mm.ColorShift', brightness=32.0, chroma=25.5),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(378, 378), interpolation='bilinear'),
    dict(type='CenterCrop', crop_size=331),
    dict(type='PackInputs'),
]
# 625 batches of 2,048 an epoch.
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
