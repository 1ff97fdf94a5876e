"""SGD for 500 epochs, as the 45 epochs otherwise.

The paper names the number of epochs (section 4.4) and no drops of the learning rate.
Ours, in proportion to 25 and 35 of 45: epochs 278 and 389.
"""

_base_ = './sgd_45e_voc12aug.py'

max_epochs = 500
train_cfg = dict(max_epochs=max_epochs, val_interval=20)
param_scheduler = _base_.param_scheduler
param_scheduler[1].milestones = [278, 389]
