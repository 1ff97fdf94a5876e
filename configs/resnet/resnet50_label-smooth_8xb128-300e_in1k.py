"""ResNet-50 on ImageNet with label smoothing (Table 1, row 7).

    tools/dist_train.sh configs/resnet/resnet50_label-smooth_* 8

trains on 8 GPUs with 128 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. 300 epochs of 1,251 batches. Label smoothing of 0.1 in TensorFlow's
form: the label gets 0.9, and 0.1 is dealt to all classes alike, the label's included.

Paper: 77.17 top-1, 93.45 top-5 on val, the best of training. Not trained here.
Cost: 9.3e18 floating-point operations, about 290 GPU hours on V100s or 110 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = './resnet50_8xb128-300e_in1k.py'

model = dict(
    head=dict(
        loss=dict(
            _delete_=True,
            type='LabelSmoothLoss',
            label_smooth_val=0.1,
            num_classes=1000,
            mode='original',
        )
    )
)
