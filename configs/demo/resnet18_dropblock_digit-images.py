"""DropBlock on data that comes with the package: a classifier, ResNet-18, 32x32.

Trained from scratch, with DropBlock as in the paper: in layer3 (conv4_x) with a quarter
of gamma and in layer4 (conv5_x), keep_prob falling linearly from 1 to 0.9. The block is
3 where the paper has 7, because at 32 pixels the maps are 8x8 and 4x4 units; AdamW and
5 epochs are for speed.

    python tools/train.py configs/demo/resnet18_dropblock_digit-images.py

takes about 2 minutes on 2 CPU cores, the data included, and reaches 0.90 top-1.
`make demo-cls` does the same and draws the result.
"""

_base_ = [
    '../_base_/models/resnet18_small.py',
    '../_base_/datasets/digit_images.py',
    '../_base_/schedules/adamw_cosine_4e.py',
    '../_base_/classification_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=4e-3))
max_epochs = 5
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 75
param_scheduler[1].T_max = max_epochs
param_scheduler[1].end = max_epochs
default_hooks = dict(logger=dict(interval=5))
log_processor = dict(window_size=25)
custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=3,
        targets=[
            dict(module='backbone.layer3', gamma_scale=0.25),
            dict(module='backbone.layer4'),
        ],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]
