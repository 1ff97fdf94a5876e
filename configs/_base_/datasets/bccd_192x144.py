"""Blood cells under a microscope (BCCD) at 192x144 pixels; 3 classes.

205 photographs of 640x480 pixels to train on, 87 to evaluate on, in the layout of
PASCAL VOC (https://github.com/Shenggan/BCCD_Dataset, MIT licence); link or copy its
folder BCCD to data/bccd. A cell has no up and no left, so training mirrors both.
"""

_base_ = './small_images.py'

dataset_type = 'VOCDataset'
data_root = 'data/bccd/'
metainfo = dict(classes=('RBC', 'WBC', 'Platelets'))
image_scale = (192, 144)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=image_scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
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

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root=''),
        # One box has no area: bbox_min_size has it ignored.
        filter_cfg=dict(filter_empty_gt=True, min_size=32, bbox_min_size=1),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    batch_size=29,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='ImageSets/Main/val.txt',
        data_prefix=dict(sub_data_root=''),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

# VOC's AP over the thresholds of COCO, so that mAP, AP50 and AP75 mean what they mean
# there.
val_evaluator = dict(
    type='VOCMetric',
    metric='mAP',
    eval_mode='area',
    iou_thrs=[0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95],
)
test_evaluator = val_evaluator
