"""PASCAL VOC detection at 640x640 pixels, with the images of coco_detection_640.

Training on trainval of 2007 and 2012 (16,551 images), evaluation on test of 2007
(4,952 images) with the 11 points of that year. Objects marked difficult are background
in training, and neither hits nor misses in evaluation. The folder is data/VOCdevkit/
with VOC2007 and VOC2012 in it.
"""

_base_ = './coco_detection_640.py'

dataset_type = 'VOCDataset'
data_root = 'data/VOCdevkit/'
trainval_2007 = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='VOC2007/ImageSets/Main/trainval.txt',
    data_prefix=dict(sub_data_root='VOC2007/'),
    # A box without an area would make the loss infinite; VOC has none.
    filter_cfg=dict(filter_empty_gt=False, min_size=32, bbox_min_size=1),
    pipeline=_base_.train_pipeline,
)
trainval_2012 = dict(
    trainval_2007,
    ann_file='VOC2012/ImageSets/Main/trainval.txt',
    data_prefix=dict(sub_data_root='VOC2012/'),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        # VOCDataset notes the year, the one thing in which the two differ.
        ignore_keys=['dataset_type'],
        datasets=[trainval_2007, trainval_2012],
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        test_mode=True,
        pipeline=_base_.test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True, type='VOCMetric', metric='mAP', eval_mode='11points'
)
test_evaluator = val_evaluator
