"""AmoebaNet-B (3, 32) on photographs of clothes: small enough for a CPU.

    python tools/train.py configs/amoebanet/amoebanet-b-3-32_clothing-96px.py

13 cells and 1.4 M parameters, 20 epochs at 96 pixels: about MINUTES minutes on one core
of a CPU. The recipe is that of Table 2 but for what so short a run needs: the learning
rate in proportion to the batch of 32, a decay to 1 % of it in 20 epochs, one epoch of
warm-up, moving averages of 100 steps, and a classifier that starts from N(0, 0.01).

The paper has no such experiment.
"""

_base_ = [
    '../_base_/models/amoebanet_b_6x256.py',
    '../_base_/datasets/clothing_96.py',
    '../_base_/schedules/rmsprop_340e_in1k.py',
    '../_base_/classification_runtime.py',
]

model = dict(
    backbone=dict(num_cells=3, base_channels=32, with_cp=False),
    head=dict(
        num_classes=10,
        in_channels=512,
        auxiliary=dict(in_channels=256, image_size=96),
        init_cfg=dict(type='Normal', layer='Linear', std=0.01),
    ),
)
max_epochs = 20
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=0.08))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 1
param_scheduler[1].gamma = 0.8
custom_hooks = _base_.custom_hooks
custom_hooks[0].momentum = 0.01
auto_scale_lr = dict(base_batch_size=32)
