"""PASCAL VOC 2012 with SBD's masks at 513x513: 10,582 images to train, 1,449 to test.

Training (Ghiasi et al. 2018, section 4.4; `dataloader.py` in tensorflow/tpu's
`models/official/retinanet`): the longer side resized to 0.75 to 1.5 times 513 pixels,
a random crop to 513x513, a random flip; the model pads, at the right and below.
Testing: the longer side resized to 513; the logits are resized to the label's size.
`tools/test.py --tta` averages over three scales and both flips, which is not the
paper's.

The folder is data/VOCdevkit/VOC2012, as mmseg expects it, with SBD's masks in
SegmentationClassAug and their names in ImageSets/Segmentation/aug.txt. On the command
line: `train_dataloader.dataset.datasets.0.data_root=...`, the same of `datasets.1`, and
`val_dataloader.dataset.data_root` and `test_dataloader.dataset.data_root`.
"""

dataset_type = 'PascalVOCDataset'
data_root = 'data/VOCdevkit/VOC2012'
image_scale = (513, 513)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize', scale=image_scale, ratio_range=(0.75, 1.5), keep_ratio=True
    ),
    dict(type='RandomCrop', crop_size=image_scale),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_scale, keep_ratio=True),
    # Behind Resize, because labels are compared at their own size.
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(side, side), keep_ratio=True)
                for side in (385, 513, 769)
            ],
            [
                dict(type='RandomFlip', prob=probability, direction='horizontal')
                for probability in (0.0, 1.0)
            ],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type=dataset_type,
                data_root=data_root,
                data_prefix=dict(img_path='JPEGImages', seg_map_path=labels),
                ann_file=f'ImageSets/Segmentation/{names}.txt',
                pipeline=train_pipeline,
            )
            for labels, names in (
                ('SegmentationClass', 'train'),
                ('SegmentationClassAug', 'aug'),
            )
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
