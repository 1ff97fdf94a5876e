"""SGD for 45 epochs from a learning rate of 0.02, for a batch of 64.

Warm-up from 0.002 over the first epoch, a tenth of the rate from epochs 25 and 35 on,
no weight decay on the normalisation (`retinanet_segmentation_model.py` in
tensorflow/tpu's `models/official/retinanet`). Epochs, not iterations as in mmseg: the
rate's drops and DropBlock's schedule then hold for any batch size. For another one
`--auto-scale-lr` scales the rate in proportion.
"""

max_epochs = 45
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# bypass_duplicate: the head's shared convolutions are listed once for every level.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-5),
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
    dict(type='MultiStepLR', milestones=[25, 35], gamma=0.1, by_epoch=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=64)
