import pytest
from mmcv.ops import nms, soft_nms
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.models import RetinaNet
from mmengine.config import Config

from dropblock_mm.runs import library_of, type_name
from dropblock_mm.runs.type_names import name_readers, name_suppressions


class OwnDetector(RetinaNet):
    """A class of one's own; its module is not mmdet's."""


@pytest.mark.parametrize(
    ('config', 'name'),
    [
        (dict(type='RetinaNet'), 'RetinaNet'),
        (dict(type='mmdet.RetinaNet'), 'RetinaNet'),
        (dict(type='mmdet.models.detectors.retinanet.RetinaNet'), 'RetinaNet'),
        (dict(type=RetinaNet), 'RetinaNet'),
        (dict(type=None), ''),
        (dict(), ''),
    ],
)
def test_type_name(config, name):
    assert type_name(config) == name


@pytest.mark.parametrize(
    ('config', 'library'),
    [
        (dict(default_scope='mmseg', model=dict(type=RetinaNet)), 'mmseg'),
        (dict(default_scope=None, model=dict(type=RetinaNet)), 'mmdet'),
        (dict(model=dict(type=OwnDetector)), 'mmdet'),
        (dict(model=dict(type='mmseg.EncoderDecoder')), 'mmseg'),
        (dict(model=dict(type='mmdet.models.retinanet.RetinaNet')), 'mmdet'),
        (dict(model=dict(type='A', model=[dict(type=RetinaNet)])), 'mmdet'),
        (dict(model=dict(type='A')), ''),
        (dict(), ''),
    ],
)
def test_library(config, library):
    assert library_of(config) == library
    assert library_of(Config(config)) == library


@pytest.mark.parametrize(
    ('kind', 'name'),
    [
        (nms, 'nms'),
        (soft_nms, 'soft_nms'),
        ('mmcv.ops.nms', 'nms'),
        ('mmcv.ops.nms.soft_nms', 'soft_nms'),
        ('nms', 'nms'),
        ('my.nms', 'my.nms'),
        (RetinaNet, RetinaNet),
        (None, None),
    ],
)
def test_suppressions(kind, name):
    cfg = Config(dict(model=dict(test_cfg=[dict(nms=dict(type=kind, iou=0.5))])))
    name_suppressions(cfg.model)
    assert cfg.model.test_cfg[0].nms == dict(type=name, iou=0.5)


@pytest.mark.parametrize(
    ('kind', 'scope', 'name'),
    [
        (LoadImageFromFile, None, 'LoadImageFromFile'),
        ('mmcv.transforms.loading.LoadImageFromFile', 'mmseg', 'LoadImageFromFile'),
        (
            'mmseg.datasets.transforms.loading.LoadAnnotations',
            'mmseg',
            'LoadAnnotations',
        ),
        # Without a scope, and in another one, that name is of another class.
        ('mmseg.datasets.transforms.loading.LoadAnnotations', None, None),
        (LoadAnnotations, 'mmseg', None),
        ('my.LoadImageFromFile', 'mmdet', None),
        ('Resize', 'mmdet', None),
    ],
)
def test_readers(kind, scope, name):
    steps = [dict(type='A', transforms=[dict(type=kind)]), dict()]
    name_readers(steps, scope)
    assert steps[0]['transforms'][0]['type'] == (name or kind)
