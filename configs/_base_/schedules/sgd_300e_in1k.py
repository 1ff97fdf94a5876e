"""SGD for 300 epochs from a learning rate of 0.4, for a batch of 1,024.

A tenth of the rate from epochs 100, 200 and 265 on (Ghiasi et al. 2018, section 4.1).
Momentum with Nesterov's correction, 0.1 for every 256 images, and a weight decay of
1e-4 on all but norms, the bias of the classifier included, are the authors' code's
(`resnet_main.py` and `resnet_model.py` in tensorflow/tpu's `models/official/resnet`).
The paper does not name the warm-up: five epochs, linearly from 0, as that code had it
when the paper was written. Here it starts at a millionth of the rate, since mmengine
multiplies its way up.

Each epoch is evaluated: the paper reports the highest accuracy over training. For
another batch size `--auto-scale-lr` scales the rate in proportion.
"""

max_epochs = 300
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.4, momentum=0.9, nesterov=True, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-6,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True,
    ),
    dict(type='MultiStepLR', milestones=[100, 200, 265], gamma=0.1, by_epoch=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=1024)
