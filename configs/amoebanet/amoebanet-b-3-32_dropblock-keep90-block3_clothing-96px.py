"""AmoebaNet-B (3, 32) on photographs of clothes, with DropBlock 3x3.

    python tools/train.py configs/amoebanet/*block3_clothing*

takes about 20 minutes on one core of a CPU; one run reached 39.6 % top-1 at best in
validation. DropBlock is in the last half of the 13 cells, 7 to 13, whose maps are 6x6
and 3x3: as in Table 2, a block is half of the former and all of the latter.

The paper has no such experiment.
"""

_base_ = './amoebanet-b-3-32_clothing-96px.py'

custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        targets=[dict(module=r'backbone\.cell([7-9]|1[0-3])')],
        block_size=3,
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
    *_base_.custom_hooks,
]
