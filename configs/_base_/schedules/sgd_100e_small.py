"""SGD for 100 epochs of few small images: linear warm-up, then half a cosine.

Ours, for training networks of CPUs from scratch until they overfit. Computes in
bfloat16, as the paper's TPUs did for the products of convolutions.
"""

_base_ = './adamw_cosine_4e.py'

max_epochs = 100
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(
        type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True
    ),
)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 50
param_scheduler[1].T_max = max_epochs
param_scheduler[1].end = max_epochs
