"""As resnet18_clothing-600_96px.py, evaluated on the validation folder.

    python tools/train.py configs/evidence/resnet18_clothing-600_96px_tuning.py

For choosing hyper-parameters on images that the comparison does not use; about
five minutes on one core of a CPU.
"""

_base_ = './resnet18_clothing-600_96px.py'

val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root='data/clothing/',
        data_prefix='validation',
        pipeline=_base_.test_pipeline,
    )
)
