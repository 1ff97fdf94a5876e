"""Worked example: DropBlock in mmdet's RTMDet, whose own hooks must stay.

The difference is the paper's recipe for a ResNet (sections 3 and 4.1.1), carried over
to the stages of CSPNeXt with the same strides, 16 and 32: block 7, stage3 with a
quarter of gamma and stage4, keep_prob from 1 to 0.9 linearly. Inheritance replaces
lists, so `_base_.custom_hooks` names the base's EMAHook and PipelineSwitchHook again.

    python tools/train.py \
        configs/rtmdet/rtmdet_l_dropblock-keep90-block7_8xb32-300e_coco.py

Batch 256: 8 GPUs with 32 images each. Cost: some 270 GPU hours on an A100 (an estimate,
docs/en/cost.md). Not trained here; the paper has no such model. docs/en/own_detector.md
explains the choices.
"""

_base_ = 'mmdet::rtmdet/rtmdet_l_8xb32-300e_coco.py'

custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=7,
        targets=[
            dict(module='backbone.stage3', gamma_scale=0.25),
            dict(module='backbone.stage4'),
        ],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]
