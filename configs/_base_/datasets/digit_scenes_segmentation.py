"""Handwritten digits on photographs, for segmentation; 11 classes, 128x128 pixels.

The same scenes as for detection, in VOC's layout: 0 is the background, 1 to 10 are the
digits, 255 at their borders is ignored.
"""

_base_ = './digit_scenes.py'

dataset_type = 'BaseSegDataset'
data_root = _base_.data_root
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

train_dataloader = dict(
    drop_last=True,
    dataset=dict(
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            metainfo=metainfo,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/train.txt',
            pipeline=train_pipeline,
        )
    ),
)
val_dataloader = dict(
    dataset=dict(
        pipeline=test_pipeline,  # inferencers look for it here
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            metainfo=metainfo,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/val.txt',
            test_mode=True,
            pipeline=test_pipeline,
        ),
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
