"""As sgd_150e, for 400 epochs of VOC 2007 and 2012: 103,600 steps of 64 images.

Ours: the paper trains no detector on VOC. The drops keep their place in the training;
the warm-up keeps its number of steps, about 1,800, which are 7 epochs here.
"""

_base_ = './sgd_150e.py'

max_epochs = 400
train_cfg = dict(max_epochs=max_epochs, val_interval=20)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 7
param_scheduler[1].milestones = [320, 373]
