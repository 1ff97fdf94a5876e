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


def segmentor_with(head):
    tta = dict(tta_model=dict(type='mmseg.SegTTAModel'), tta_pipeline=[])
    model, data = dict(type='A', decode_head=head), dict(dataset=dict(pipeline=[]))
    return Config(dict(default_scope='mmseg', model=model, test_dataloader=data, **tta))


@pytest.mark.parametrize(
    ('head', 'key'),
    [
        (dict(num_classes=1), 'decode_head.num_classes'),
        (dict(num_classes=2, out_channels=1), 'decode_head.out_channels'),
        ([dict(num_classes=2), dict(num_classes=1)], 'decode_head.1.num_classes'),
    ],
)
def test_tta_of_one_channel_is_refused(head, key):
    with pytest.raises(ValueError, match=f'--tta with model.{key}=1: .* Leave --tta'):
        augment_test_images(segmentor_with(head))


def test_tta_of_several_channels():
    for head in (dict(num_classes=2), [dict(num_classes=1), dict(num_classes=21)]):
        cfg = segmentor_with(head)
        augment_test_images(cfg)
        assert cfg.model.module.decode_head == head
