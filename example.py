channels_last = True
custom_hooks = [
    dict(
        block_size=4,
        targets=[
            dict(module='decode_head'),
        ],
        type='dropblock_mm.DropBlockInjectionHook'),
    dict(keep_prob=0.9, type='dropblock_mm.KeepProbScheduleHook'),
]
data_root = 'data/digit_scenes/'
dataset_type = 'BaseSegDataset'
default_hooks = dict(
    checkpoint=dict(
        interval=1, max_keep_ckpts=1, type='dropblock_mm.CheckpointHook'),
    logger=dict(interval=5, type='LoggerHook'),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    timer=dict(type='IterTimerHook'),
    visualization=dict(type='SegVisualizationHook'))
default_scope = 'mmseg'
digit_scenes = dict(
    image_size=128,
    num_train=2000,
    num_val=200,
    root='data/digit_scenes/',
    seed=0,
    type='dropblock_mm.DigitScenes')
env_cfg = dict(
    cudnn_benchmark=False,
    dist_cfg=dict(backend='nccl'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
launcher = 'none'
load_from = None
log_level = 'INFO'
log_processor = dict(by_epoch=True, type='LogProcessor', window_size=25)
max_epochs = 4
metainfo = dict(
    classes=(
        'background',
        '0',
        '1',
        '2',
        '3',
        '4',
        '5',
        '6',
        '7',
        '8',
        '9',
    ),
    palette=[
        [
            0,
            0,
            0,
        ],
        [
            128,
            0,
            0,
        ],
        [
            0,
            128,
            0,
        ],
        [
            128,
            128,
            0,
        ],
        [
            0,
            0,
            128,
        ],
        [
            128,
            0,
            128,
        ],
        [
            0,
            128,
            128,
        ],
        [
            128,
            128,
            128,
        ],
        [
            64,
            0,
            0,
        ],
        [
            192,
            0,
            0,
        ],
        [
            64,
            128,
            0,
        ],
    ])
model = dict(
    backbone=dict(
        base_channels=32,
        depth=18,
        frozen_stages=-1,
        norm_cfg=dict(requires_grad=True, type='BN'),
        norm_eval=False,
        num_stages=4,
        out_indices=(
            0,
            1,
            2,
            3,
        ),
        style='pytorch',
        type='ResNet'),
    data_preprocessor=dict(
        bgr_to_rgb=True,
        mean=[
            123.675,
            116.28,
            103.53,
        ],
        pad_val=0,
        seg_pad_val=255,
        size_divisor=32,
        std=[
            58.395,
            57.12,
            57.375,
        ],
        test_cfg=dict(size_divisor=32),
        type='SegDataPreProcessor'),
    decode_head=dict(
        channels=64,
        in_channels=[
            64,
            64,
            64,
            64,
        ],
        loss_decode=dict(avg_non_ignore=True, type='CrossEntropyLoss'),
        norm_cfg=dict(requires_grad=True, type='BN'),
        num_classes=11,
        num_convs=2,
        sampler=dict(min_kept=200, type='OHEMPixelSampler'),
        stride=4,
        type='dropblock_mm.RetinaSegHead'),
    neck=dict(
        in_channels=[
            32,
            64,
            128,
            256,
        ],
        no_norm_on_lateral=True,
        norm_cfg=dict(requires_grad=True, type='BN'),
        num_outs=4,
        out_channels=64,
        type='FPN'),
    test_cfg=dict(mode='whole'),
    train_cfg=dict(),
    type='EncoderDecoder')
norm_cfg = dict(requires_grad=True, type='BN')
optim_wrapper = dict(
    clip_grad=dict(max_norm=10.0),
    optimizer=dict(fused=True, lr=0.002, type='AdamW', weight_decay=0.05),
    type='OptimWrapper')
param_scheduler = [
    dict(begin=0, by_epoch=False, end=200, start_factor=0.01, type='LinearLR'),
    dict(
        T_max=4,
        begin=0,
        by_epoch=True,
        convert_to_iter_based=True,
        end=4,
        eta_min=0.0,
        type='CosineAnnealingLR'),
]
randomness = dict(diff_rank_seed=True, seed=0)
resume = False
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=2,
    dataset=dict(
        dataset=dict(
            ann_file='ImageSets/Segmentation/val.txt',
            data_prefix=dict(
                img_path='JPEGImages', seg_map_path='SegmentationClass'),
            data_root='/tmp/s_data_dg',
            metainfo=dict(
                classes=(
                    'background',
                    '0',
                    '1',
                    '2',
                    '3',
                    '4',
                    '5',
                    '6',
                    '7',
                    '8',
                    '9',
                ),
                palette=[
                    [
                        0,
                        0,
                        0,
                    ],
                    [
                        128,
                        0,
                        0,
                    ],
                    [
                        0,
                        128,
                        0,
                    ],
                    [
                        128,
                        128,
                        0,
                    ],
                    [
                        0,
                        0,
                        128,
                    ],
                    [
                        128,
                        0,
                        128,
                    ],
                    [
                        0,
                        128,
                        128,
                    ],
                    [
                        128,
                        128,
                        128,
                    ],
                    [
                        64,
                        0,
                        0,
                    ],
                    [
                        192,
                        0,
                        0,
                    ],
                    [
                        64,
                        128,
                        0,
                    ],
                ]),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='PackSegInputs'),
            ],
            test_mode=True,
            type='BaseSegDataset'),
        image_size=128,
        num_train=8,
        num_val=4,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
        root='/tmp/s_data_dg',
        seed=0,
        type='dropblock_mm.DigitScenes'),
    drop_last=False,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(shuffle=False, type='DefaultSampler'))
test_evaluator = dict(
    iou_metrics=[
        'mIoU',
    ], type='IoUMetric')
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_cfg = dict(max_epochs=1, type='EpochBasedTrainLoop', val_interval=1)
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        dataset=dict(
            ann_file='ImageSets/Segmentation/train.txt',
            data_prefix=dict(
                img_path='JPEGImages', seg_map_path='SegmentationClass'),
            data_root='/tmp/s_data_dg',
            indices=1700,
            metainfo=dict(
                classes=(
                    'background',
                    '0',
                    '1',
                    '2',
                    '3',
                    '4',
                    '5',
                    '6',
                    '7',
                    '8',
                    '9',
                ),
                palette=[
                    [
                        0,
                        0,
                        0,
                    ],
                    [
                        128,
                        0,
                        0,
                    ],
                    [
                        0,
                        128,
                        0,
                    ],
                    [
                        128,
                        128,
                        0,
                    ],
                    [
                        0,
                        0,
                        128,
                    ],
                    [
                        128,
                        0,
                        128,
                    ],
                    [
                        0,
                        128,
                        128,
                    ],
                    [
                        128,
                        128,
                        128,
                    ],
                    [
                        64,
                        0,
                        0,
                    ],
                    [
                        192,
                        0,
                        0,
                    ],
                    [
                        64,
                        128,
                        0,
                    ],
                ]),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='PackSegInputs'),
            ],
            type='BaseSegDataset'),
        image_size=128,
        num_train=8,
        num_val=4,
        root='/tmp/s_data_dg',
        seed=0,
        type='dropblock_mm.DigitScenes'),
    drop_last=True,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(shuffle=True, type='DefaultSampler'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
tta_model = dict(type='SegTTAModel')
val_cfg = dict(type='ValLoop')
val_dataloader = dict(
    batch_size=2,
    dataset=dict(
        dataset=dict(
            ann_file='ImageSets/Segmentation/val.txt',
            data_prefix=dict(
                img_path='JPEGImages', seg_map_path='SegmentationClass'),
            data_root='/tmp/s_data_dg',
            metainfo=dict(
                classes=(
                    'background',
                    '0',
                    '1',
                    '2',
                    '3',
                    '4',
                    '5',
                    '6',
                    '7',
                    '8',
                    '9',
                ),
                palette=[
                    [
                        0,
                        0,
                        0,
                    ],
                    [
                        128,
                        0,
                        0,
                    ],
                    [
                        0,
                        128,
                        0,
                    ],
                    [
                        128,
                        128,
                        0,
                    ],
                    [
                        0,
                        0,
                        128,
                    ],
                    [
                        128,
                        0,
                        128,
                    ],
                    [
                        0,
                        128,
                        128,
                    ],
                    [
                        128,
                        128,
                        128,
                    ],
                    [
                        64,
                        0,
                        0,
                    ],
                    [
                        192,
                        0,
                        0,
                    ],
                    [
                        64,
                        128,
                        0,
                    ],
                ]),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='PackSegInputs'),
            ],
            test_mode=True,
            type='BaseSegDataset'),
        image_size=128,
        num_train=8,
        num_val=4,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
        root='/tmp/s_data_dg',
        seed=0,
        type='dropblock_mm.DigitScenes'),
    drop_last=False,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(shuffle=False, type='DefaultSampler'))
val_evaluator = dict(
    iou_metrics=[
        'mIoU',
    ], type='IoUMetric')
visualizer = dict(
    name='visualizer',
    type='SegLocalVisualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
        dict(type='TensorboardVisBackend'),
    ])
work_dir = '/tmp/s_data_run_seg'
