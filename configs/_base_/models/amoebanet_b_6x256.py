"""AmoebaNet-B (6, 256) for images of 331 pixels, as in the authors' code.

Of the code that the paper names (`models/official/amoeba_net` in tensorflow/tpu): cells
and stem (`model_specs.py`, `network_utils.py`), the auxiliary classifier with two
fifths of its loss, dropout of one half before the classifier, smoothed labels,
initialisation (`model_builder.py`), and normalisation with a decay of 0.9 and an
epsilon of 1e-5 (flags of `amoeba_net.py`).

141,747,368 parameters, and 976,816 of the auxiliary classifier; 37.87 billion
multiply-adds. Each cell is computed twice, which saves most of the activations' memory:
`with_cp=False` is faster where there is enough of it.
"""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='dropblock_mm.AmoebaNet',
        genotype='B',
        num_cells=6,
        base_channels=256,
        stem_channels=32,
        out_indices=(1, 2),
        norm_cfg=dict(type='BN', momentum=0.1, eps=1e-5),
        with_cp=True,
    ),
    head=dict(
        type='dropblock_mm.AmoebaNetHead',
        num_classes=1000,
        in_channels=4096,
        dropout_ratio=0.5,
        auxiliary=dict(in_channels=2048, image_size=331, loss_weight=0.4),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        topk=(1, 5),
    ),
)
