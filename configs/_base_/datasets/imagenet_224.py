"""ImageNet at 224x224 pixels: 128 images for each of 8 GPUs, and one crop to evaluate.

Training (`resnet_preprocessing.py` in tensorflow/tpu's `models/official/resnet`): a
crop of 8 % to 100 % of the area and an aspect ratio of 3/4 to 4/3, resized bicubically,
and a flip half of the time; no change of colours. Evaluation: the shorter side resized
bicubically to 256, and the 224x224 pixels in the middle of it. All 50,000 images of val
are evaluated; there, the last 848 did not fill a batch and were left out.

The folder is data/imagenet/, with `train/CLASS/*.JPEG` and `val/CLASS/*.JPEG`, or with
`meta/train.txt` and `meta/val.txt`, as mmpretrain expects it; link your copy there. On
the command line `train_dataloader.dataset.data_root` and the same of `val_dataloader`
and `test_dataloader` name another.
"""

dataset_type = 'ImageNet'
data_root = 'data/imagenet/'
data_preprocessor = dict(
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bicubic'
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='ResizeEdge',
        scale=256,
        edge='short',
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

# 1,251 batches of 1,024 an epoch; the rest is left out, another rest in each epoch.
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
