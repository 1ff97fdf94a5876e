"""COCO at 640x640 pixels: train2017 for training, val2017 for evaluation.

Training (Ghiasi et al. 2018, section 4.3; `dataloader.py` in tensorflow/tpu's
`models/official/retinanet`): a random flip, the longer side resized to between 512 and
768 pixels, then a random crop to 640x640 or padding on the right and below with the
mean colour. Images and crops without objects are trained on too. Evaluation: the
longer side resized to 640.

The folder is data/coco/, laid out as mmdet expects it; link your copy there. On the
command line `train_dataloader.dataset.data_root`, the same of `val_dataloader` and
`test_dataloader`, and `ann_file` of the two evaluators name another.
"""

_base_ = 'mmdet::_base_/datasets/coco_detection.py'

image_size = (640, 640)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomResize', scale=image_size, ratio_range=(0.8, 1.2), keep_ratio=True
    ),
    dict(type='RandomCrop', crop_size=image_size, allow_negative_crop=True),
    # The mean of ImageNet, blue first: zero after normalisation.
    dict(type='Pad', size=image_size, pad_val=dict(img=(104, 116, 124))),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = image_size

# All images are of one size, so batches need not be sorted by their shape.
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    batch_sampler=None,
    dataset=dict(
        filter_cfg=dict(filter_empty_gt=False, min_size=32), pipeline=train_pipeline
    ),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
