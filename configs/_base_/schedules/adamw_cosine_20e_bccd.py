"""As adamw_cosine_4e, for 20 epochs of 26 steps: warm-up over 50 of them."""

_base_ = './adamw_cosine_4e.py'

max_epochs = 20
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 50
param_scheduler[1].T_max = max_epochs
param_scheduler[1].end = max_epochs
