"""As sgd_150e, for 45 epochs of segmentation, from a learning rate of 0.02.

Warm-up from 0.002, a tenth of the rate from epochs 25 and 35 on, and a tenth of the
weight decay (`retinanet_segmentation_model.py` in tensorflow/tpu's
`models/official/retinanet`). Epochs, not iterations as in mmseg: the rate's drops and
DropBlock's schedule then hold for any batch size.
"""

_base_ = './sgd_150e.py'

max_epochs = 45
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=0.02, weight_decay=1e-5))
param_scheduler = _base_.param_scheduler
param_scheduler[1].milestones = [25, 35]
