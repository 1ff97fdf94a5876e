"""DropBlock 3x3 in layer3 and layer4: half of the map and all of it, at 96 pixels.

As the paper's block of 7 has it at 224 pixels. ``calibrated`` makes the expected share
of kept units exactly keep_prob, as dropout's and SpatialDropout's are; all three act at
the same sites, and keep_prob falls linearly from 1.
"""

custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=3,
        calibrated=True,
        targets=[dict(module='backbone.layer3'), dict(module='backbone.layer4')],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]
