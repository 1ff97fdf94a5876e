"""RetinaSeg, a narrow ResNet-18-FPN, from scratch on 60 digit scenes.

    python tools/train.py configs/evidence/retinaseg_r18_fpn_digit-scenes-60.py

As configs/digit_scenes/retinaseg_r18_fpn_digit-scenes.py, with 60 of its 500 scenes
and 130 epochs: it learns them by heart. It is evaluated on the other 440; the 200 of
the validation list are for choosing hyper-parameters (see the config *_tuning.py).
About two minutes on one core of a CPU.

The paper has no such experiment. docs/en/evidence.md has what came out.
"""

_base_ = '../digit_scenes/retinaseg_r18_fpn_digit-scenes.py'

few = dict(
    type='dropblock_mm.FewImages',
    number=60,
    dataset=_base_.train_dataloader.dataset,
)
unseen = _base_.val_dataloader.dataset
train_dataloader = dict(dataset=dict(_delete_=True, **few))
val_dataloader = dict(dataset=dict(_delete_=True, others=True, **few))
test_dataloader = val_dataloader
max_epochs = 130
train_cfg = dict(max_epochs=max_epochs, val_interval=26)
param_scheduler = _base_.param_scheduler
param_scheduler[1].T_max = max_epochs
param_scheduler[1].end = max_epochs
default_hooks = dict(
    checkpoint=dict(interval=26, max_keep_ckpts=5), logger=dict(interval=15)
)
