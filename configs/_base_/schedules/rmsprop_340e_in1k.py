"""RMSProp for 340 epochs from a learning rate of 5.12, for a batch of 2,048.

The paper (section 4.1) says: 340 epochs, exponential decay, the highest accuracy over
training. The rest is the code's that it names, `amoeba_net_model.py` in
tensorflow/tpu's `models/official/amoeba_net`: RMSProp as TensorFlow computes it, with
decay and momentum 0.9 and epsilon 1; 97 % of the rate every 2.4 epochs; a warm-up of 3
epochs, linearly from 0; a weight decay of 4e-5 on convolutions and dense layers; no
clipping; moving averages of all weights, with a decay of 0.9999, are what is evaluated.

Its rate for another batch, 2.56 for 1,024 in the README, is 0.0025 for every image. Its
floor, a ten-thousandth of the rate, is not reached in 340 epochs, which end at 1.3 %.
Here every epoch takes a part of the step that comes every 2.4 epochs there, and the
warm-up starts at a millionth of the rate, since mmengine multiplies its way up.

For another batch size `--auto-scale-lr` scales the rate in proportion.
"""

max_epochs = 340
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='dropblock_mm.RMSpropTF',
        lr=5.12,
        alpha=0.9,
        momentum=0.9,
        eps=1.0,
        weight_decay=4e-5,
    ),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-6,
        by_epoch=True,
        begin=0,
        end=3,
        convert_to_iter_based=True,
    ),
    dict(
        type='ExponentialLR',
        gamma=0.97 ** (1 / 2.4),
        by_epoch=True,  # mmengine's conversion to iterations keeps the factor
    ),
]
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='ExponentialMovingAverage',
        momentum=1e-4,
        update_buffers=True,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=2048)
