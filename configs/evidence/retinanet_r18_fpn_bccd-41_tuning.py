"""As retinanet_r18_fpn_bccd-41.py, evaluated on the 87 photographs of the list val.

For choosing hyper-parameters on images that the comparison does not use.
"""

_base_ = './retinanet_r18_fpn_bccd-41.py'

val_dataloader = dict(dataset=dict(_delete_=True, **_base_.unseen))
