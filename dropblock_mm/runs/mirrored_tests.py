"""Test-time augmentation: each image and its mirror image, or what the config says."""

from __future__ import annotations

import copy

from mmengine.config import Config, ConfigDict

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.nested_datasets import innermost
from dropblock_mm.runs.type_names import library_of, type_name


def augment_test_images(cfg: Config) -> None:
    """Wrap the model and its test data for test-time augmentation.

    Raises:
        RefusedValueError: The config does not say how, and mmdet's default serves
            detectors alone; or its segmentor has one channel.
    """
    missing = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if missing and library_of(cfg) != 'mmdet':
        raise RefusedValueError(
            f'--tta needs {" and ".join(missing)}, which the config does not set. '
            'Add them, or leave --tta out.'
        )
    refuse_one_channel(cfg)
    scope = '' if cfg.get('default_scope') else 'mmdet.'
    tta_model = cfg.get('tta_model') or flip_model(scope)
    for dataset in innermost(cfg.test_dataloader):
        dataset.pipeline = cfg.get('tta_pipeline') or flip_pipeline(
            dataset.pipeline, scope
        )
    cfg.model = ConfigDict(**tta_model, module=cfg.model)


def refuse_one_channel(cfg: Config) -> None:
    """Refuse to merge views of a segmentor with one output channel.

    It stores probabilities where mmseg's SegTTAModel expects logits, and takes the
    sigmoid again: what comes out is above .5 for every pixel, and all are foreground.

    Raises:
        RefusedValueError: The segmentor has one channel.
    """
    if type_name(cfg.get('tta_model') or {}) != 'SegTTAModel':
        return
    head, key = cfg.model.get('decode_head') or {}, 'model.decode_head'
    if isinstance(head, (list, tuple)):  # the last of a cascade predicts
        head, key = head[-1], f'{key}.{len(head) - 1}'
    name = 'num_classes' if head.get('out_channels') is None else 'out_channels'
    if head.get(name) == 1:
        raise RefusedValueError(
            f'--tta with {key}.{name}=1: mmseg takes the sigmoid twice, and finds '
            'foreground everywhere. Leave --tta out, or train with two channels.'
        )


def flip_model(scope: str = '') -> dict:
    """Merge the boxes of an image and its mirror image, as mmdet by default."""
    nms = {'type': 'nms', 'iou_threshold': 0.5}
    return {'type': f'{scope}DetTTAModel', 'tta_cfg': {'nms': nms, 'max_per_img': 100}}


def flip_pipeline(pipeline: list, scope: str = '') -> list:
    """End the test pipeline twice, mirrored and not, as mmdet by default."""
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    flips = [{'type': f'{scope}RandomFlip', 'prob': prob} for prob in (1.0, 0.0)]
    pack = {
        'type': f'{scope}PackDetInputs',
        'meta_keys': (*keys, 'flip', 'flip_direction'),
    }
    augment = {'type': 'TestTimeAug', 'transforms': [flips, [pack]]}
    return [*copy.deepcopy(pipeline[:-1]), augment]
