"""AutoAugment's policies for ImageNet, one of which each image goes through.

They are those that its paper prints (Cubuk et al. 2018, appendix), in mmpretrain's
operations: the same as its preset 'imagenet', but that what turning and shearing leave
open is grey. The preset gets no colour there: mmpretrain 1.2 keeps `hparams` for itself
and builds the operations without them, and a single 128, their default, is a blue of
(128, 0, 0) to the rotation that it calls.
"""

grey = (128, 128, 128)
autoaugment = dict(
    type='AutoAugment',
    policies=[
        [
            dict(type='Posterize', bits=4, prob=0.4),
            dict(type='Rotate', angle=30.0, prob=0.6, pad_val=grey),
        ],
        [
            dict(type='Solarize', thr=256 / 9 * 4, prob=0.6),
            dict(type='AutoContrast', prob=0.6),
        ],
        [dict(type='Equalize', prob=0.8), dict(type='Equalize', prob=0.6)],
        [
            dict(type='Posterize', bits=5, prob=0.6),
            dict(type='Posterize', bits=5, prob=0.6),
        ],
        [
            dict(type='Equalize', prob=0.4),
            dict(type='Solarize', thr=256 / 9 * 5, prob=0.2),
        ],
        [
            dict(type='Equalize', prob=0.4),
            dict(type='Rotate', angle=30 / 9 * 8, prob=0.8, pad_val=grey),
        ],
        [
            dict(type='Solarize', thr=256 / 9 * 6, prob=0.6),
            dict(type='Equalize', prob=0.6),
        ],
        [dict(type='Posterize', bits=6, prob=0.8), dict(type='Equalize', prob=1.0)],
        [
            dict(type='Rotate', angle=10.0, prob=0.2, pad_val=grey),
            dict(type='Solarize', thr=256 / 9 * 1, prob=0.6),
        ],
        [dict(type='Equalize', prob=0.6), dict(type='Posterize', bits=5, prob=0.4)],
        [
            dict(type='Rotate', angle=30 / 9 * 8, prob=0.8, pad_val=grey),
            dict(type='ColorTransform', magnitude=0.0, prob=0.4),
        ],
        [
            dict(type='Rotate', angle=30.0, prob=0.4, pad_val=grey),
            dict(type='Equalize', prob=0.6),
        ],
        [dict(type='Equalize', prob=0.0), dict(type='Equalize', prob=0.8)],
        [dict(type='Invert', prob=0.6), dict(type='Equalize', prob=1.0)],
        [
            dict(type='ColorTransform', magnitude=0.4, prob=0.6),
            dict(type='Contrast', magnitude=0.8, prob=1.0),
        ],
        [
            dict(type='Rotate', angle=30 / 9 * 8, prob=0.8, pad_val=grey),
            dict(type='ColorTransform', magnitude=0.2, prob=1.0),
        ],
        [
            dict(type='ColorTransform', magnitude=0.8, prob=0.8),
            dict(type='Solarize', thr=256 / 9 * 2, prob=0.8),
        ],
        [
            dict(type='Sharpness', magnitude=0.7, prob=0.4),
            dict(type='Invert', prob=0.6),
        ],
        [
            dict(
                type='Shear',
                magnitude=0.3 / 9 * 5,
                prob=0.6,
                direction='horizontal',
                pad_val=grey,
            ),
            dict(type='Equalize', prob=1.0),
        ],
        [
            dict(type='ColorTransform', magnitude=0.0, prob=0.4),
            dict(type='Equalize', prob=0.6),
        ],
        [
            dict(type='Equalize', prob=0.4),
            dict(type='Solarize', thr=256 / 9 * 5, prob=0.2),
        ],
        [
            dict(type='Solarize', thr=256 / 9 * 4, prob=0.6),
            dict(type='AutoContrast', prob=0.6),
        ],
        [dict(type='Invert', prob=0.6), dict(type='Equalize', prob=1.0)],
        [
            dict(type='ColorTransform', magnitude=0.4, prob=0.6),
            dict(type='Contrast', magnitude=0.8, prob=1.0),
        ],
        [dict(type='Equalize', prob=0.8), dict(type='Equalize', prob=0.6)],
    ],
)
