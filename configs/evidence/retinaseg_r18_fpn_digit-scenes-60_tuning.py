"""As retinaseg_r18_fpn_digit-scenes-60.py, evaluated on the 200 scenes of the list val.

For choosing hyper-parameters on images that the comparison does not use.
"""

_base_ = './retinaseg_r18_fpn_digit-scenes-60.py'

val_dataloader = dict(dataset=dict(_delete_=True, **_base_.unseen))
