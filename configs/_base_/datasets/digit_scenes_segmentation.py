"""Handwritten digits on photographs, for segmentation; 11 classes, 128x128 pixels.

The same scenes as for detection, in VOC's layout: 0 is the background, 1 to 10 are the
digits, 255 at their borders is ignored. They are made on first use, in about ten
seconds, and kept in `data_root` (`dropblock_mm.datasets.make_digit_scenes`). No
mirroring: it would turn digits into shapes that are none.
"""

dataset_type = 'BaseSegDataset'
data_root = 'data/digit_scenes/'
digit_scenes = dict(
    type='dropblock_mm.DigitScenes',
    root=data_root,
    num_train=2000,
    num_val=200,
    image_size=128,
    seed=0,
)
metainfo = dict(
    classes=('background', *'0123456789'),
    palette=[
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
        [192, 0, 0],
        [64, 128, 0],
    ],
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
test_pipeline = train_pipeline

# Images this small load faster than a worker process hands them over.
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            metainfo=metainfo,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/train.txt',
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
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/val.txt',
            test_mode=True,
            pipeline=test_pipeline,
        ),
        **digit_scenes,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
