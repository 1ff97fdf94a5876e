"""ResNet-18 of half the width from scratch on 600 photographs of clothes, at 96 pixels.

    python tools/train.py configs/evidence/resnet18_clothing-600_96px.py

100 epochs of few images: what it sees it learns by heart, which is where the paper's
gains belong. It is evaluated on all others of the training folder and on the test
folder, 2,840 images; those of the validation folder are for choosing hyper-parameters
(see the config *_tuning.py). About five minutes on one core of a CPU with bfloat16.

The paper has no such experiment. docs/en/evidence.md has what came out.
"""

_base_ = [
    '../_base_/models/resnet18_small.py',
    '../_base_/datasets/clothing_96.py',
    '../_base_/schedules/sgd_100e_small.py',
    '../_base_/classification_runtime.py',
]

model = dict(
    backbone=dict(
        type='ResNet', base_channels=32, stem_channels=32, zero_init_residual=True
    ),
    head=dict(in_channels=256),
)
channels_last = True

train_pipeline = _base_.train_pipeline
train_pipeline[1].crop_ratio_range = (0.5, 1.0)
few = dict(
    type='dropblock_mm.FewImages',
    number=600,
    dataset={**_base_.train_dataloader.dataset, 'pipeline': train_pipeline},
)
unseen = _base_.test_dataloader.dataset
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(_delete_=True, **few),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='dropblock_mm.FewImages',
                number=600,
                others=True,
                dataset={**unseen, 'data_prefix': 'train'},
            ),
            unseen,
        ],
    ),
)
test_dataloader = val_dataloader
default_hooks = dict(
    checkpoint=dict(interval=100, save_best=None), logger=dict(interval=18)
)
