"""Handwritten digits on photographs, for detection; 10 classes, 128x128 pixels.

The scenes are made on first use, in about ten seconds, and kept in `data_root`
(`dropblock_mm.datasets.make_digit_scenes`). No mirroring: it would turn digits into
shapes that are none.
"""

dataset_type = 'CocoDataset'
data_root = 'data/digit_scenes/'
digit_scenes = dict(
    type='dropblock_mm.DigitScenes',
    root=data_root,
    num_train=2000,
    num_val=200,
    image_size=128,
    seed=0,
)
metainfo = dict(classes=tuple('0123456789'))
image_scale = (128, 128)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=image_scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]

# Images this small load faster than a worker process hands them over.
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            metainfo=metainfo,
            ann_file='annotations/instances_train.json',
            data_prefix=dict(img='JPEGImages/'),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=train_pipeline,
        ),
        **digit_scenes,
    ),
)
val_dataloader = dict(
    batch_size=20,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            metainfo=metainfo,
            ann_file='annotations/instances_val.json',
            data_prefix=dict(img='JPEGImages/'),
            test_mode=True,
            pipeline=test_pipeline,
        ),
        **digit_scenes,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='CocoMetric',
    ann_file=data_root + 'annotations/instances_val.json',
    metric='bbox',
    format_only=False,
)
test_evaluator = val_evaluator
