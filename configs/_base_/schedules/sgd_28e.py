"""As sgd_150e, for 28 epochs: a tenth of the rate from epochs 16 and 22 on.

Ghiasi et al. 2018, section 4.3, for fine-tuning.
"""

_base_ = './sgd_150e.py'

max_epochs = 28
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
param_scheduler = _base_.param_scheduler
param_scheduler[1].milestones = [16, 22]
