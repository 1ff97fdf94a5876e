"""RetinaNet with ResNet-50-FPN, made to be trained from scratch.

What differs from mmdet's `retinanet_r50_fpn` is what the paper's implementation does
(Ghiasi et al. 2018, section 4.3, and `models/official/retinanet` of tensorflow/tpu):

- batch normalisation after every convolution, the heads' included, that learns and
  gathers statistics everywhere: momentum 0.003 (their decay of 0.997), eps 1e-4;
- heads that share their convolutions over the levels but not the normalisation;
- a pyramid without normalisation on the lateral connections, P6 from P5's output, a
  ReLU before P7;
- no pretrained weights, nothing frozen; the last normalisation of each residual block
  starts at zero (mmdet's default where nothing is loaded);
- focal loss with gamma 1.5; a Huber loss with delta 0.1 and weight 50, which divides by
  four times the number of positives. That is 50 * 0.1 / 4 = 1.25 times mmdet's
  SmoothL1Loss with beta 0.1;
- an anchor is positive from IoU 0.5, negative below, and each object keeps the one
  anchor that fits it best, however badly.

What is left of mmdet where the two differ is listed in configs/retinanet/README.md.
"""

_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'

norm_cfg = dict(type='BN', momentum=0.003, eps=1e-4, requires_grad=True)
model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False, norm_cfg=norm_cfg, init_cfg=None),
    neck=dict(
        add_extra_convs='on_output',
        relu_before_extra_convs=True,
        no_norm_on_lateral=True,
        norm_cfg=norm_cfg,
    ),
    bbox_head=dict(
        type='RetinaSepBNHead',
        num_ins=5,
        norm_cfg=norm_cfg,
        loss_cls=dict(gamma=1.5),
        loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=0.1, loss_weight=1.25),
    ),
    train_cfg=dict(assigner=dict(neg_iou_thr=0.5, gt_max_assign_all=False)),
)
