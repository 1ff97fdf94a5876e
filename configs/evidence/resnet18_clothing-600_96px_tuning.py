"""As resnet18_clothing-600_96px.py, evaluated on the validation folder.

For choosing hyper-parameters on images that the comparison does not use.
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
