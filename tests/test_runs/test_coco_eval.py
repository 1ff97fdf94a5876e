"""faster-coco-eval in the place of pycocotools."""

import importlib.util
import json
import threading
import time

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from dropblock_mm.runs import coco_eval
from dropblock_mm.runs.coco_eval import match_faster

CLASSES = ('cat', 'dog', 'cow', 'hen')
SIDE = 200


@pytest.fixture
def installed():
    if importlib.util.find_spec('faster_coco_eval') is None:
        pytest.skip('faster-coco-eval is not installed')


def rle(box):
    """The rectangle of a box as a mask."""
    from pycocotools import mask

    x1, y1, x2, y2 = np.round(box).astype(int).clip(0, SIDE)
    pixels = np.zeros((SIDE, SIDE), dtype=np.uint8, order='F')
    pixels[y1:y2, x1:x2] = 1
    return mask.encode(pixels) | dict(counts=mask.encode(pixels)['counts'].decode())


@pytest.fixture
def truth(tmp_path):
    """Images with some boxes of all classes but the last, some of them crowds."""
    rng, annotations = np.random.default_rng(0), []
    for image in range(8):
        for _ in range(12):
            x, y = rng.uniform(0, 150, 2)
            w, h = rng.uniform(8, 110, 2)
            w, h = min(w, SIDE - x), min(h, SIDE - y)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=int(rng.integers(1, 4)),
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=int(rng.random() < 0.1),
                    segmentation=rle([x, y, x + w, y + h]),
                )
            )
    content = dict(
        images=[dict(id=i, width=SIDE, height=SIDE, file_name='') for i in range(8)],
        annotations=annotations,
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES, 1)],
    )
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(content))
    return str(path), content


def detections(content):
    """Boxes near the true ones, over 100 an image and class: more than AP counts."""
    rng, samples = np.random.default_rng(1), []
    for image in content['images']:
        own = [a for a in content['annotations'] if a['image_id'] == image['id']]
        boxes = np.array([a['bbox'] for a in own]).repeat(40, axis=0)
        boxes[:, 2:] += boxes[:, :2]
        boxes += rng.normal(0, 6, boxes.shape)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        labels = np.array([a['category_id'] - 1 for a in own]).repeat(40)
        wrong = rng.random(len(labels)) < 0.2
        labels[wrong] = rng.integers(0, 4, wrong.sum())
        found = dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32),
            scores=torch.tensor(rng.random(len(boxes)), dtype=torch.float32),
            labels=torch.tensor(labels),
            masks=[rle(box) for box in boxes],
        )
        shape = (SIDE, SIDE)
        samples.append(dict(img_id=image['id'], ori_shape=shape, pred_instances=found))
    return samples


def measure(truth, faster):
    from mmdet.evaluation import CocoMetric

    path, content = truth
    metric = CocoMetric(path, metric=['bbox', 'segm', 'proposal'], classwise=True)
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dict(classes=CLASSES)
    if faster:
        match_faster(evaluator)
    evaluator.process(detections(content), None)
    return evaluator.evaluate(len(content['images']))


def test_same_numbers(installed, truth, monkeypatch):
    """All of them, of boxes, masks and proposals, and of every class."""
    expected = measure(truth, faster=False)
    from pycocotools.cocoeval import COCOeval

    def fail(*_):
        raise AssertionError('pycocotools matches')

    monkeypatch.setattr(COCOeval, 'evaluateImg', fail)
    found = measure(truth, faster=True)
    assert found.keys() == expected.keys()
    assert len(found) == 22
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert 0.05 < found['coco/bbox_mAP'] < found['coco/bbox_mAP_50'] < 1


def test_others_are_left_alone(installed, truth):
    from mmdet.evaluation import CocoMetric
    from mmdet.evaluation.metrics import coco_metric
    from pycocotools.cocoeval import COCOeval

    one, other = CocoMetric(truth[0]), CocoMetric(truth[0])
    match_faster(Evaluator(one))
    assert 'compute_metrics' in vars(one)
    assert 'compute_metrics' not in vars(other)
    assert coco_metric.COCOeval is COCOeval


def in_its_place(monkeypatch):
    """Serve a metric whose computing is a stub, with a class that is none."""
    from mmdet.evaluation.metrics import coco_metric

    monkeypatch.setattr(coco_eval.importlib.util, 'find_spec', lambda name: True)
    monkeypatch.setattr(coco_eval, '_matcher', lambda: lambda *args: ('faster', args))
    monkeypatch.setattr(coco_metric, 'COCOeval', lambda *args: ('pycocotools', args))
    return coco_metric


def test_the_name_is_given_back_after_an_error(truth, monkeypatch):
    module = in_its_place(monkeypatch)
    original, seen = module.COCOeval, []

    def fail(self, results):
        seen.append(module.COCOeval(*results))
        raise OSError('the disk is full')

    fail.__module__ = module.__name__
    monkeypatch.setattr(module.CocoMetric, 'compute_metrics', fail)
    metric = module.CocoMetric(truth[0])
    match_faster(Evaluator(metric))
    with pytest.raises(OSError, match='disk'):
        metric.compute_metrics([1, 2])
    assert seen == [('faster', (1, 2))]
    assert module.COCOeval is original


def test_other_threads_are_left_alone(truth, monkeypatch):
    """One that evaluates at the same moment, by another metric, gets pycocotools."""
    module = in_its_place(monkeypatch)
    original, seen = module.COCOeval, {}

    def compute(self, results):
        seen['here'] = module.COCOeval()[0]
        other = threading.Thread(target=lambda: seen.update(there=module.COCOeval()[0]))
        other.start()
        other.join()

    compute.__module__ = module.__name__
    monkeypatch.setattr(module.CocoMetric, 'compute_metrics', compute)
    metric = module.CocoMetric(truth[0])
    match_faster(Evaluator(metric))
    metric.compute_metrics([])
    assert seen == {'here': 'faster', 'there': 'pycocotools'}
    assert module.COCOeval is original


def test_two_at_a_time_give_the_name_back(truth, monkeypatch):
    module = in_its_place(monkeypatch)
    original, seen = module.COCOeval, []

    def compute(self, results):
        time.sleep(0.2)  # the other one begins, or waits for its turn
        seen.append(module.COCOeval()[0])

    compute.__module__ = module.__name__
    monkeypatch.setattr(module.CocoMetric, 'compute_metrics', compute)
    metrics = [module.CocoMetric(truth[0]) for _ in range(2)]
    match_faster(Evaluator(metrics))
    threads = [threading.Thread(target=m.compute_metrics, args=([],)) for m in metrics]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ['faster', 'faster']
    assert module.COCOeval is original


def test_it_must_be_installed(truth, monkeypatch):
    from mmdet.evaluation import CocoMetric

    monkeypatch.setattr(coco_eval.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match='pip install faster-coco-eval'):
        match_faster(Evaluator(CocoMetric(truth[0])))


def test_it_serves_coco_alone(truth, monkeypatch):
    from mmdet.evaluation import CocoMetric, VOCMetric

    monkeypatch.setattr(coco_eval.importlib.util, 'find_spec', lambda name: True)
    for metric in (VOCMetric(), CocoMetric(truth[0], use_mp_eval=True)):
        with pytest.raises(ValueError, match=f'has {type(metric).__name__}'):
            match_faster(Evaluator(metric))
