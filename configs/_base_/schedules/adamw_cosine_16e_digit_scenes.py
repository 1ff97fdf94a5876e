"""As adamw_cosine_4e, for 16 epochs of the few digit scenes."""

_base_ = './adamw_cosine_4e.py'

max_epochs = 16
train_cfg = dict(max_epochs=max_epochs, val_interval=8)
param_scheduler = _base_.param_scheduler
param_scheduler[1].T_max = max_epochs
param_scheduler[1].end = max_epochs
