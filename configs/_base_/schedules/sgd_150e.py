"""SGD for 150 epochs from a learning rate of 0.08, for a batch of 64.

Warm-up from 0.008 over the first epoch, a tenth of the rate from epochs 120 and 140
on (Ghiasi et al. 2018, section 4.3; momentum, weight decay and warm-up are those of
`models/official/retinanet` in tensorflow/tpu, which spares normalisation the decay).
For another batch size, `--auto-scale-lr` scales the rate in proportion.
"""

max_epochs = 150
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# bypass_duplicate: heads with shared convolutions list them once for every level.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.08, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, bypass_duplicate=True),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.1,
        by_epoch=True,
        begin=0,
        end=1,
        convert_to_iter_based=True,
    ),
    dict(type='MultiStepLR', milestones=[120, 140], gamma=0.1, by_epoch=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=64)
