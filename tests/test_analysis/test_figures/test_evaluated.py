"""What was evaluated: its images, its classes, and what was found."""

import json

import pytest

pytest.importorskip('matplotlib')

from dropblock_mm.analysis.figures.evaluated import of_annotations, of_dataset


def test_images_without_any_result_are_left_out_and_counted(detection_files):
    found = of_annotations(**detection_files, score_thr=0.85)
    samples = found.samples(5)
    assert [len(sample.truth) for sample in samples] == [1, 1]
    assert [len(sample.predictions) for sample in samples] == [1, 0]
    assert samples[0].predictions[0].label == 'three'
    assert samples[0].image.shape == (40, 50, 3)
    assert found.note.startswith('1 of 3 images have no result at all')


def test_images_are_evenly_spaced(detection_files):
    results = json.loads(detection_files['results_file'].read_text())
    results += [{**results[0], 'image_id': 2}]
    detection_files['results_file'].write_text(json.dumps(results))
    found = of_annotations(**detection_files, score_thr=0.3)
    assert [int(sample.image.max()) for sample in found.samples(2)] == [0, 120]
    assert found.note == ''


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (dict(category_id=5), r'results\.json.* has category_id 5, which .*coco\.json'),
        (dict(image_id=7), r'has image_id 7, which .*coco\.json'),
    ],
)
def test_results_of_other_data_are_refused(detection_files, change, text):
    results = json.loads(detection_files['results_file'].read_text())
    detection_files['results_file'].write_text(json.dumps([{**results[0], **change}]))
    with pytest.raises(ValueError, match=text):
        of_annotations(**detection_files, score_thr=0.3)


@pytest.mark.parametrize(
    ('text', 'said'),
    [('{"images": []}', "not COCO's results of boxes"), ('{', 'is not JSON')],
)
def test_what_is_no_results_is_refused(detection_files, text, said):
    detection_files['results_file'].write_text(text)
    with pytest.raises(ValueError, match=said):
        of_annotations(**detection_files, score_thr=0.3)


@pytest.fixture
def dataset(detection_files):
    """A data set of one of the file's two classes, with all images in it."""
    from mmdet.datasets import CocoDataset

    coco = json.loads(detection_files['ann_file'].read_text())
    for number, annotation in enumerate(coco['annotations']):
        annotation |= dict(id=number, area=200, iscrowd=0)
    for image in coco['images']:
        image |= dict(height=40, width=50)
    detection_files['ann_file'].write_text(json.dumps(coco))
    return CocoDataset(
        ann_file=str(detection_files['ann_file']),
        data_prefix=dict(img=str(detection_files['image_dir'])),
        metainfo=dict(classes=('eight',)),
        test_mode=True,
        pipeline=[],
    )


def test_a_data_set_gives_its_own_images_and_classes(detection_files, dataset):
    results = [{'image_id': 1, 'category_id': 9, 'bbox': [2, 1, 9, 9], 'score': 0.5}]
    detection_files['results_file'].write_text(json.dumps(results))
    samples = of_dataset(dataset, detection_files['results_file'], 0.3).samples(5)
    truth = [[(box.label, box.xywh) for box in sample.truth] for sample in samples]
    assert truth == [[], [('eight', (20, 10, 10, 20))], []]
    assert [[box.label for box in s.predictions] for s in samples] == [
        [],
        ['eight'],
        [],
    ]


def test_a_class_that_was_not_looked_for_is_refused(detection_files, dataset):
    with pytest.raises(ValueError, match=r"category_id 4, which the config's test"):
        of_dataset(dataset, detection_files['results_file'], 0.3)
