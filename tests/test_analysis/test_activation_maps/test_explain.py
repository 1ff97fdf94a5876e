"""Maps of small models of each library, alone and side by side."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from PIL import Image

from dropblock_mm.analysis.activation_maps import (
    compare,
    detectors,
    explain,
    segmentors,
)
from dropblock_mm.analysis.activation_maps.compare import SameImages
from dropblock_mm.analysis.activation_maps.explanation import Explanation
from dropblock_mm.analysis.activation_maps.measured import (
    as_numbers,
    known_measures,
    measure,
    spread_report,
)
from dropblock_mm.analysis.figures.activation_maps import draw_grid
from dropblock_mm.analysis.trained.images import own_example
from dropblock_mm.analysis.trained.models import model_files, open_model
from dropblock_mm.analysis.trained.same_data import check_same_image
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.errors import RefusedValueError


@pytest.fixture(scope='module')
def opened(small_run):
    known = {}

    def get(library, seed=0):
        if (library, seed) not in known:
            files = model_files([str(small_run(library, seed))])
            known[library, seed] = open_model(files, {})
        return known[library, seed]

    return get


@pytest.mark.parametrize(
    ('library', 'size'), [('mmpretrain', 2), ('mmseg', 2), ('mmdet', None)]
)
def test_every_library_has_maps(opened, library, size):
    trained = opened(library)
    images = list(SameImages([trained]).explain(None, None))
    assert len(images) == 6
    for index, image in enumerate(images):
        (found,) = image.maps
        assert found.activation.min() >= 0
        assert found.target.label == index % 3
        if size:
            assert found.activation.shape == (size, size)
    # What holds of the model is left as it was.
    assert not any(m._forward_hooks for m in trained.model.modules())
    assert all(p.requires_grad for p in trained.model.parameters())


def test_a_classifiers_map_is_cam(opened):
    trained = opened('mmpretrain')
    images = SameImages([trained])
    example = images._example(0, 1)
    found = explain.explain(trained, example, Truth(2))
    batch = trained.model.data_preprocessor({k: [v] for k, v in example.item.items()})
    with torch.no_grad():
        maps = trained.model.backbone(batch['inputs'])[-1][0]
    slow = torch.einsum('k,khw->hw', trained.model.head.fc.weight[2], maps)
    assert found.activation == pytest.approx(slow.clamp_min(0).detach().numpy())
    deeper = explain.explain(trained, example, Truth(2), 'backbone.layer3')
    assert deeper.activation.shape == (4, 4)


def test_a_detectors_box_is_the_true_one(opened):
    trained = opened('mmdet')
    images = SameImages([trained])
    example = images._example(0, 1)
    found = explain.explain(trained, example)
    if found.right:
        assert detectors._overlap(found.box, example.truth.box) >= 0.5
    surest = explain.explain(trained, images._example(0, 2), Truth(0))
    assert surest.box is not None
    assert surest.activation.any()


def test_a_box_is_explained_by_what_is_around_it(opened):
    trained = opened('mmdet')
    example = SameImages([trained])._example(0, 1)
    usual = explain.explain(trained, example, Truth(0))
    asked = explain.explain(trained, example, Truth(0), method='hires-cam')
    assert np.array_equal(usual.activation, asked.activation)
    # Two convolutions of 3x3 see two cells to each side of the anchor's.
    assert 0 < np.count_nonzero(usual.activation) <= 25
    mean = explain.explain(trained, example, Truth(0), method='grad-cam')
    assert np.count_nonzero(mean.activation) > 25


@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical'])
def test_a_regions_map_is_that_of_the_whole_prediction(opened, monkeypatch, flip):
    trained = opened('mmseg')
    example = SameImages([trained])._example(0, 1)
    sample = example.item['data_samples']
    if flip:
        sample.set_metainfo({'flip': True, 'flip_direction': flip})
    sample.set_metainfo({'padding_size': [8, 0, 0, 16]})
    short = explain.explain(trained, example)
    monkeypatch.setattr(segmentors, '_enlarges_logits_alone', lambda model: False)
    whole = explain.explain(trained, example)
    assert whole.activation.any()
    assert np.allclose(short.activation, whole.activation, rtol=1e-4, atol=1e-9)
    assert (short.right, short.score) == (whole.right, whole.score)


@pytest.mark.parametrize('alone', [True, False])
def test_a_window_that_slides_changes_nothing(opened, monkeypatch, alone):
    trained = opened('mmseg')
    example = SameImages([trained])._example(0, 2)
    monkeypatch.setattr(segmentors, '_enlarges_logits_alone', lambda model: alone)
    whole = explain.explain(trained, example)
    sliding = Config({'mode': 'slide', 'crop_size': (32, 32), 'stride': (16, 16)})
    monkeypatch.setattr(trained.model, 'test_cfg', sliding)
    found = explain.explain(trained, example)
    assert np.array_equal(whole.activation, found.activation)
    assert trained.model.test_cfg.mode == 'slide'


def test_a_model_without_boxes_is_refused(opened, monkeypatch):
    trained = opened('mmdet')
    example = SameImages([trained])._example(0, 1)
    empty = [DetDataSample(pred_instances=InstanceData(masks=torch.zeros(1)))]
    for predicted in ([DetDataSample()], empty):
        monkeypatch.setattr(trained.model, 'predict', lambda *a, p=predicted, **k: p)
        with pytest.raises(RefusedValueError, match='RetinaNet predicts no boxes'):
            explain.explain(trained, example)


def test_own_images_need_no_annotations(opened, small_images):
    for library in ('mmdet', 'mmseg', 'mmpretrain'):
        models = [opened(library, 0), opened(library, 1)]
        paths = sorted((small_images / 'images').glob('*.png'))[:2]
        found = list(SameImages(models, paths).explain(None, None))
        assert len(found) == 2
        first, second = found[0].maps
        assert first.right is None
        assert second is None or second.target.label == first.target.label


def test_models_of_other_data_are_not_compared(opened, small_run):
    other = open_model(
        model_files([str(small_run('mmpretrain', 1))]),
        {'test_dataloader.dataset.indices': 2},
    )
    with pytest.raises(RefusedValueError, match='different test data'):
        SameImages([opened('mmpretrain'), other])
    with pytest.raises(RefusedValueError, match='different test data: where'):
        check_same_image(['one', 'other'], ['a', 'b'], '')


def test_a_classifiers_map_is_drawn_over_what_it_was_given(opened):
    images = SameImages([opened('mmpretrain')], limit=1)
    (found,) = images.explain(None, None)
    image = images.with_pixels(found)
    inputs = images.datasets[0][0]['inputs']
    (seen,) = image.seen
    assert (seen == inputs.permute(1, 2, 0).numpy()).all()
    cut = replace(image, seen=[seen[:20, :30]])
    panel = draw_grid([cut], ['model'], []).axes[1]
    assert {tuple(shown.get_extent()) for shown in panel.images} == {(0, 30, 20, 0)}


def test_a_detectors_map_is_drawn_over_the_whole_image(opened):
    images = SameImages([opened('mmdet')], limit=1)
    (found,) = images.explain(None, None)
    image = images.with_pixels(found)
    assert image.seen == [None]
    with Image.open(image.path) as photo:
        size = photo.size
    panel = draw_grid([image], ['model'], []).axes[1]
    assert tuple(panel.images[0].get_extent()) == (0, size[0], size[1], 0)


def maps(*values, right=True):
    truth = Truth(0)
    return [Explanation(np.array(v, float), truth, right, 0.5) for v in values]


def test_only_images_that_all_got_right_are_compared():
    peak, even, none = [[0, 0], [0, 4]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]
    images = [
        compare.ImageMaps('a', maps(peak, even)),
        compare.ImageMaps('b', maps(peak, even)),
        compare.ImageMaps('c', maps(peak, none)),
        compare.ImageMaps('d', maps(even, peak, right=False)),
        compare.ImageMaps('e', [*maps(peak), None]),
    ]
    measured = [measure(image) for image in images]
    report = spread_report(['one', 'two'], measured)
    assert (report.images, report.compared) == (5, 2)
    assert report.means['share'] == [0.25, 1.0]
    (difference,) = report.differences['share']
    assert (difference.number, difference.mean) == (2, 0.75)
    means, differences = report.tables()
    assert means.headings == ['measure', 'one', 'two']
    assert differences.rows[0][1:] == [
        'two',
        '+0.75',
        '+0.75 to +0.75',
        '+0.75 to +0.75',
        '2',
    ]
    assert spread_report(['one'], []).tables() == []
    kept = json.loads(json.dumps(as_numbers(measured, {'models': 2})))
    assert known_measures(kept, {'models': 2}) == measured
    assert known_measures(kept, {'models': 3}) == []
    assert known_measures({}, {'models': 2}) == []


def test_a_model_without_boxes_that_can_have_them_is_told_how(opened, monkeypatch):
    trained = opened('mmdet')
    example = SameImages([trained])._example(0, 1)
    fusion = torch.nn.Identity()
    fusion.test_cfg = {'panoptic_on': True, 'instance_on': False}
    monkeypatch.setattr(trained.model, 'panoptic_fusion_head', fusion, raising=False)
    monkeypatch.setattr(trained.model, 'predict', lambda *a, **k: [DetDataSample()])
    with pytest.raises(RefusedValueError, match=r'model\.test_cfg\.instance_on=True'):
        explain.explain(trained, example)


def test_masks_without_boxes_are_found_where_they_are(opened, monkeypatch):
    trained = opened('mmdet')
    example = SameImages([trained])._example(0, 1)
    predict = trained.model.predict
    left, top, right, bottom = map(round, example.truth.box)

    def masks_alone(*args, **kwargs):
        (sample,) = predict(*args, **kwargs)
        found = sample.pred_instances[:1]
        found.labels[:] = example.truth.label
        found.bboxes = torch.zeros_like(found.bboxes)  # as mmdet's SOLO has them
        found.masks = torch.zeros(1, *sample.ori_shape, dtype=torch.bool)
        found.masks[:, top:bottom, left:right] = True
        return [DetDataSample(pred_instances=found)]

    monkeypatch.setattr(trained.model, 'predict', masks_alone)
    found = explain.explain(trained, example)
    assert found.right
    assert found.activation.any()
    assert found.box == (left, top, right, bottom)


def test_a_pipeline_that_reads_more_than_an_image_is_refused(tmp_path):
    def asks(results):
        return results['proposals']

    Image.new('RGB', (4, 4)).save(tmp_path / 'photo.png')
    with pytest.raises(RefusedValueError, match=r"asks for 'proposals'.*--images"):
        own_example(asks, tmp_path / 'photo.png')
