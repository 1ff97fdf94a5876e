"""RetinaNet, a narrow ResNet-18-FPN, from scratch on 41 photographs of blood cells.

    python tools/train.py configs/evidence/retinanet_r18_fpn_bccd-41.py

As configs/bccd/retinanet_r18_fpn_scratch_bccd.py, with every fifth photograph and five
times as many epochs: it learns the 41 by heart. It is evaluated on the other 164 of
the training list and on the 72 of the test list, none of which hyper-parameters were
chosen on (see the config *_tuning.py). About three minutes on one core of a CPU.

The paper has no such experiment. docs/en/evidence.md has what came out.
"""

_base_ = '../bccd/retinanet_r18_fpn_scratch_bccd.py'

few = dict(
    type='dropblock_mm.FewImages',
    number=41,
    dataset=_base_.train_dataloader.dataset,
)
unseen = _base_.val_dataloader.dataset
train_dataloader = dict(dataset=dict(_delete_=True, **few))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='dropblock_mm.FewImages',
                number=41,
                others=True,
                dataset={
                    **unseen,
                    'ann_file': 'ImageSets/Main/train.txt',
                },
            ),
            {**unseen, 'ann_file': 'ImageSets/Main/test.txt'},
        ],
    )
)
test_dataloader = val_dataloader
max_epochs = 100
train_cfg = dict(max_epochs=max_epochs, val_interval=20)
param_scheduler = _base_.param_scheduler
param_scheduler[1].T_max = max_epochs
param_scheduler[1].end = max_epochs
default_hooks = dict(checkpoint=dict(interval=20, max_keep_ckpts=5))
