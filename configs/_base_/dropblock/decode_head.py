"""DropBlock in the head of a segmentation model.

What: block 16, keep_prob from 1 to 0.2 linearly over training, after every norm of
``decode_head``. These are the paper's best values (section 4.4, Table 4: PASCAL VOC
2012, ResNet-101-FPN from scratch, 500 epochs: 53.4 mIoU, without DropBlock 47.2). They
are strong: blocks overlap, so a nominal drop rate of 0.8 is really about 0.5. The paper
gives no values for fine-tuning or for other heads; there, start near 0.9.

How, on any config with mmseg's ``decode_head``::

    python tools/train.py CONFIG --dropblock decode_head \
        --cfg-options custom_hooks.1.keep_prob=0.9

(the number is the hook's place in the list, behind the config's own), or in a config of
yours, as one of several ``_base_`` (see README.md here).
"""

custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=16,
        targets=[dict(module='decode_head')],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.2),
]
