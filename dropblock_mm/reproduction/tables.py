"""The tables as data: rows, configs, and the paper's numbers.

All numbers of the paper are from Ghiasi, Lin and Le, "DropBlock: A regularization
method for convolutional networks", NeurIPS 2018. They stand here and nowhere else:
configs and pages that tell them are written by tools/dev/write_paper_numbers.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A number of an evaluation.

    Args:
        key: As the evaluation logs it.
        title: As the paper names it.
        scale: What turns it into percent.
    """

    key: str
    title: str
    scale: float = 100.0


@dataclass(frozen=True)
class Row:
    """A model of a table.

    Args:
        name: As it is typed after ``--rows``.
        title: In words.
        config: Below ``configs/``.
        paper: The paper's numbers in percent, by the metrics' titles.
        best: The metric by which the best evaluation of a training is chosen; the last
            one counts if it is ''.
    """

    name: str
    title: str
    config: str
    paper: dict[str, float] = field(default_factory=dict)
    best: str = ''


@dataclass(frozen=True)
class Table:
    """What is trained and evaluated.

    Args:
        name: As it is typed.
        title: Its heading.
        source: Where the paper's numbers are, or '' if it has none.
        metrics: The columns.
        rows: In the paper's order.
        embedded: The layout in which the embedded data set serves a smoke run.
        seeds: What is run where none are given.
        digits: Behind the point, as the paper has them.
    """

    name: str
    title: str
    source: str
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]
    embedded: Literal['coco', 'voc', 'folders'] | None = None
    seeds: tuple[int, ...] = (0,)
    digits: int = 1

    def row(self, name: str) -> Row:
        """Return the row of a name that it has."""
        return next(row for row in self.rows if row.name == name)


COCO_METRICS = (
    Metric('coco/bbox_mAP', 'AP'),
    Metric('coco/bbox_mAP_50', 'AP50'),
    Metric('coco/bbox_mAP_75', 'AP75'),
)
VOC_METRICS = (
    Metric('pascal_voc/mAP', 'mAP'),
    Metric('pascal_voc/AP50', 'AP50'),
    Metric('pascal_voc/AP75', 'AP75'),
)
CLASSIFICATION_METRICS = (
    Metric('accuracy/top1', 'top-1', scale=1.0),
    Metric('accuracy/top5', 'top-5', scale=1.0),
)
SEGMENTATION_METRICS = (Metric('mIoU', 'mIoU', scale=1.0),)


def _classification(name: str, title: str, config: str, *paper: float) -> Row:
    """Return a row of Table 1: top-1 and top-5, the best over training (4.1)."""
    titles = [metric.title for metric in CLASSIFICATION_METRICS]
    path = f'resnet/resnet50_{config}_in1k.py'
    best = CLASSIFICATION_METRICS[0].key
    return Row(name, title, path, dict(zip(titles, paper, strict=True)), best)


def _amoebanet(name: str, title: str, config: str, *paper: float) -> Row:
    """Return a row of Table 2: top-1 and top-5, the best over training (4.1)."""
    titles = [metric.title for metric in CLASSIFICATION_METRICS]
    path = f'amoebanet/amoebanet-b-6-256{config}_64xb32-340e_in1k-331px.py'
    best = CLASSIFICATION_METRICS[0].key
    return Row(name, title, path, dict(zip(titles, paper, strict=True)), best)


def _detection(name: str, title: str, config: str, *paper: float) -> Row:
    """Return a row of Table 3: AP, AP50, AP75."""
    titles = [metric.title for metric in COCO_METRICS]
    path = f'retinanet/retinanet_r50_fpn_sepbn_{config}_coco.py'
    return Row(name, title, path, dict(zip(titles, paper, strict=True)))


def _segmentation(name: str, title: str, config: str, mean_iou: float) -> Row:
    """Return a row of Table 4."""
    path = f'retinaseg/retinaseg_r101_fpn_{config}_voc12aug-513x513.py'
    return Row(name, title, path, {'mIoU': mean_iou})


def _study(config: str, blocks: tuple[int, int], drop: str) -> tuple[Row, ...]:
    """Return three rows: none, block 1 and a larger block."""
    rows = [Row('none', 'no DropBlock', config.format(''))]
    for block in blocks:
        name = f'block{block}'
        rows.append(Row(name, f'block {block}', config.format(f'{drop}{block}')))
    return tuple(rows)


TABLE_1 = Table(
    'table1',
    'ResNet-50 on ImageNet (Table 1)',
    'Table 1 of Ghiasi et al. 2018: val, the best over training, means of 3 runs',
    CLASSIFICATION_METRICS,
    tuple(
        _classification(name, title, config, *paper)
        for name, title, config, *paper in (
            ('none', 'ResNet-50', '8xb128-300e', 76.51, 93.20),
            ('dropout', 'dropout 0.7', 'dropout-keep70_8xb128-300e', 76.80, 93.41),
            ('drop-path', 'DropPath 0.9', 'drop-path-keep90_8xb128-300e', 77.10, 93.50),
            (
                'spatial-dropout',
                'SpatialDropout 0.9',
                'spatial-dropout-keep90_8xb128-300e',
                77.41,
                93.74,
            ),
            ('cutout', 'Cutout', 'cutout_8xb128-300e', 76.52, 93.21),
            ('autoaugment', 'AutoAugment', 'autoaug_8xb128-300e', 77.63, 93.82),
            (
                'label-smooth',
                'label smoothing 0.1',
                'label-smooth_8xb128-300e',
                77.17,
                93.45,
            ),
            (
                'dropblock',
                'DropBlock 0.9',
                'dropblock-keep90-block7_8xb128-300e',
                78.13,
                94.02,
            ),
            (
                'dropblock-label-smooth',
                'DropBlock 0.9, label smoothing',
                'dropblock-keep90-block7_label-smooth_8xb128-330e',
                78.35,
                94.15,
            ),
        )
    ),
    embedded='folders',
    seeds=(0, 1, 2),
    digits=2,
)
TABLE_2 = Table(
    'table2',
    'AmoebaNet-B (6, 256) on ImageNet (Table 2)',
    'Table 2 of Ghiasi et al. 2018: val, the best over training',
    CLASSIFICATION_METRICS,
    (
        _amoebanet('none', 'AmoebaNet-B (6, 256)', '', 82.25, 95.88),
        _amoebanet(
            'dropblock', 'DropBlock 0.9', '_dropblock-keep90-block11', 82.52, 96.07
        ),
    ),
    embedded='folders',
    digits=2,
)
TABLE_3 = Table(
    'table3',
    'RetinaNet, ResNet-50-FPN, on COCO (Table 3)',
    'Table 3 of Ghiasi et al. 2018: val2017, training on train2017',
    COCO_METRICS,
    (
        _detection('fine-tuned', 'from ImageNet', '8xb8-28e', 36.5, 55.0, 39.1),
        _detection('scratch', 'scratch', '8xb8-150e-scratch', 36.8, 54.6, 39.4),
        *(
            _detection(
                f'block{block}',
                f'scratch, keep_prob 0.9, block {block}',
                f'dropblock-keep90-block{block}_8xb8-150e-scratch',
                *paper,
            )
            for block, paper in {
                1: (37.9, 56.1, 40.6),
                3: (38.3, 56.4, 41.2),
                5: (38.4, 56.4, 41.2),
                7: (38.2, 56.0, 40.9),
            }.items()
        ),
    ),
    embedded='coco',
)
TABLE_4 = Table(
    'table4',
    'RetinaSeg, ResNet-101-FPN, on PASCAL VOC 2012 (Table 4)',
    'Table 4 of Ghiasi et al. 2018: val, training on the augmented train set',
    SEGMENTATION_METRICS,
    (
        _segmentation('fine-tuned', 'from ImageNet', '8xb8-45e', 74.6),
        _segmentation('scratch', 'scratch', '8xb8-500e-scratch', 47.2),
        *(
            _segmentation(
                f'block{block}',
                f'scratch, keep_prob 0.2, block {block}',
                f'dropblock-keep20-block{block}_8xb8-500e-scratch',
                paper,
            )
            for block, paper in {1: 51.0, 4: 53.2, 16: 53.4}.items()
        ),
    ),
    embedded='voc',
)
BCCD = Table(
    'bccd',
    'A small RetinaNet on blood cells (BCCD), from scratch',
    '',
    VOC_METRICS,
    _study(
        'bccd/retinanet_r18_fpn{}_scratch_bccd.py', (1, 7), '_dropblock-keep90-block'
    ),
    seeds=(0, 1, 2),
)
DIGIT_SCENES = Table(
    'digit_scenes',
    'A small RetinaSeg on the digit scenes, from scratch',
    '',
    SEGMENTATION_METRICS,
    _study(
        'digit_scenes/retinaseg_r18_fpn{}_digit-scenes.py', (1, 4), '_dropblock-block'
    ),
    embedded='voc',
    seeds=(0, 1, 2),
)
TABLES = {
    table.name: table
    for table in (TABLE_1, TABLE_2, TABLE_3, TABLE_4, BCCD, DIGIT_SCENES)
}
