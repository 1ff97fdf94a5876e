"""As retinaseg_r18_fpn_digit-scenes-60.py, evaluated on the 200 scenes of the list val.

    python tools/train.py configs/evidence/retinaseg_r18_fpn_digit-scenes-60_tuning.py

For choosing hyper-parameters on images that the comparison does not use; about
two minutes on one core of a CPU.
"""

_base_ = './retinaseg_r18_fpn_digit-scenes-60.py'

val_dataloader = dict(dataset=dict(_delete_=True, **_base_.unseen))
