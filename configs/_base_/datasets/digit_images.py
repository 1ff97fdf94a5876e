"""Handwritten digits on photographs, for classification; 10 classes, 32x32 pixels.

One digit in each image, in a folder for each class. The images are made on first use,
in a few seconds, and kept in `data_root` (`dropblock_mm.datasets.make_digit_images`).
`dataset.dataset` reads them. No mirroring: it would turn digits into shapes that are
none. Training shifts the images by up to 2 pixels.
"""

_base_ = './small_images.py'

dataset_type = 'CustomDataset'
data_root = 'data/digit_images/'
data_preprocessor = dict(
    num_classes=10,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
metainfo = dict(classes=tuple('0123456789'))
digit_images = dict(
    type='dropblock_mm.DigitImages',
    root=data_root,
    num_train=6000,
    num_val=400,
    image_size=32,
    seed=0,
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=32, padding=2, padding_mode='edge'),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=64,
    drop_last=True,
    dataset=dict(
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            data_prefix='train',
            metainfo=metainfo,
            pipeline=train_pipeline,
        ),
        **digit_images,
    ),
)
val_dataloader = dict(
    batch_size=50,
    dataset=dict(
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            data_prefix='val',
            metainfo=metainfo,
            pipeline=test_pipeline,
        ),
        **digit_images,
    ),
)
test_dataloader = val_dataloader

# The second keeps the predictions as a file, if it is given a name for it.
val_evaluator = [
    dict(type='Accuracy', topk=(1, 5)),
    dict(type='dropblock_mm.PredictionFile'),
]
test_evaluator = val_evaluator
