"""Test-time augmentation by a config's own words, or by mmdet's default."""

import pytest
from mmengine.config import Config

from dropblock_mm.runs.mirrored_tests import augment_test_images


def test_tta_of_a_detector():
    inner = dict(pipeline=[dict(type='Load'), dict(type='PackDetInputs')])
    cfg = Config(
        dict(
            default_scope='mmdet',
            model=dict(type='Detector'),
            test_dataloader=dict(dataset=dict(dataset=inner)),
        )
    )
    augment_test_images(cfg)
    assert cfg.model.type == 'DetTTAModel'
    assert cfg.model.module == dict(type='Detector')
    pipeline = cfg.test_dataloader.dataset.dataset.pipeline
    assert [step.type for step in pipeline] == ['Load', 'TestTimeAug']


def test_tta_of_a_segmentor_needs_its_config():
    cfg = Config(dict(default_scope='mmseg', tta_model=dict(type='SegTTAModel')))
    with pytest.raises(ValueError, match='--tta needs tta_pipeline'):
        augment_test_images(cfg)
