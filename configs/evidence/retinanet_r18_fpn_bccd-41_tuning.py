"""As retinanet_r18_fpn_bccd-41.py, evaluated on the 87 photographs of the list val.

    python tools/train.py configs/evidence/retinanet_r18_fpn_bccd-41_tuning.py

For choosing hyper-parameters on images that the comparison does not use; about
three minutes on one core of a CPU.
"""

_base_ = './retinanet_r18_fpn_bccd-41.py'

val_dataloader = dict(dataset=dict(_delete_=True, **_base_.unseen))
