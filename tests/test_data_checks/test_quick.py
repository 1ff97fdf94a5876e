import copy
import json
import re
from dataclasses import replace

import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from dropblock_mm.data_checks.build_errors import naming_bad_data
from dropblock_mm.data_checks.data_settings import pipeline_flaws, wrapper_flaws
from dropblock_mm.data_checks.inventory import inventory
from dropblock_mm.data_checks.json_files import json_flaw
from dropblock_mm.data_checks.quick import check_data
from dropblock_mm.errors import RefusedError

INSTANCES = {
    'images': [
        {'id': i, 'file_name': f'{i}.jpg', 'width': 40, 'height': 30} for i in range(3)
    ],
    'annotations': [
        {
            'id': i + 1,
            'image_id': i,
            'category_id': 1,
            'bbox': [3, 3, 9, 9],
            'area': 81,
            'iscrowd': 0,
            'segmentation': [[3, 3, 12, 3, 12, 12]],
        }
        for i in range(3)
    ],
    'categories': [{'id': 1, 'name': 'person'}],
}


XML = """<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin>
<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"""


@pytest.fixture
def coco(tmp_path):
    """A config on a complete data set in COCO's layout, at tmp_path/coco."""
    root = tmp_path / 'coco'
    (root / 'train').mkdir(parents=True)
    for image in INSTANCES['images']:
        (root / 'train' / image['file_name']).write_bytes(b'jpeg')
    (root / 'train.json').write_text(json.dumps(INSTANCES))
    dataset = dict(
        type='CocoDataset',
        data_root=f'{root}/',
        ann_file='train.json',
        data_prefix=dict(img='train/'),
    )
    return Config(dict(default_scope='mmdet', train_dataloader=dict(dataset=dataset)))


@pytest.fixture
def voc(tmp_path):
    """The same in PASCAL VOC's layout, below VOC2007/."""
    root = tmp_path / 'VOC2007'
    for folder in ('ImageSets/Main', 'JPEGImages', 'Annotations'):
        (root / folder).mkdir(parents=True)
    (root / 'ImageSets/Main/train.txt').write_text('a\nb\n')
    for name in 'ab':
        (root / f'JPEGImages/{name}.jpg').write_bytes(b'jpeg')
        (root / f'Annotations/{name}.xml').write_text(XML)
    dataset = dict(
        type='VOCDataset',
        data_root=f'{tmp_path}/',
        ann_file='VOC2007/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
    )
    return Config(dict(default_scope='mmdet', train_dataloader=dict(dataset=dataset)))


@pytest.fixture
def segmentation(tmp_path):
    """The same in the layout of mmseg's PascalVOCDataset."""
    root = tmp_path / 'VOC2012'
    for folder in ('ImageSets/Segmentation', 'JPEGImages', 'SegmentationClass'):
        (root / folder).mkdir(parents=True)
    (root / 'ImageSets/Segmentation/train.txt').write_text('a\nb\n')
    for name in 'ab':
        (root / f'JPEGImages/{name}.jpg').write_bytes(b'jpeg')
        (root / f'SegmentationClass/{name}.png').write_bytes(b'png')
    dataset = dict(
        type='PascalVOCDataset',
        data_root=str(root),
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    )
    return Config(dict(default_scope='mmseg', train_dataloader=dict(dataset=dataset)))


def message(cfg, loops=('train',)):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - callers match the text
        check_data(cfg, loops)
    return str(refused.value)


def test_complete_data_pass(coco, voc, segmentation):
    for cfg in (coco, voc, segmentation):
        check_data(cfg, ['train', 'val'])


def test_missing_annotations(coco):
    coco.train_dataloader.dataset.ann_file = 'no.json'
    root = coco.train_dataloader.dataset.data_root
    text = message(coco)
    assert "train_dataloader.dataset.ann_file='no.json': no such file" in text
    assert f"{root}no.json', joined to train_dataloader.dataset.data_root" in text
    assert '--cfg-options' in text


@pytest.mark.parametrize('kept', [0.0, 0.3, 0.9])
def test_truncated_annotations(coco, tmp_path, kept):
    path = tmp_path / 'coco/train.json'
    text = path.read_text()
    path.write_text(text[: int(kept * len(text))])
    said = message(coco)
    assert "train_dataloader.dataset.ann_file='train.json'" in said
    assert 'again' in said


def test_json_that_is_something_else(coco, tmp_path):
    (tmp_path / 'coco/train.json').write_text('[{"image_id": 1, "score": 0.5}]')
    assert 'it holds no images and no categories' in message(coco)


def test_missing_image_folder(coco):
    coco.train_dataloader.dataset.data_prefix.img = 'nowhere/'
    assert "dataset.data_prefix.img='nowhere/': no such folder" in message(coco)


def test_empty_image_folder(coco, tmp_path):
    (tmp_path / 'coco/empty').mkdir()
    coco.train_dataloader.dataset.data_prefix.img = 'empty'
    assert "dataset.data_prefix.img='empty': the folder is empty" in message(coco)


def test_label_maps_that_no_step_loads_may_be_missing(coco):
    """As in mmdet's mask2former_r50_8xb2-lsj-50e_coco.py, left from its base."""
    dataset = coco.train_dataloader.dataset
    dataset.data_prefix.seg = 'nowhere/'
    dataset.pipeline = [dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]
    check_data(coco, ['train'])
    for step in (
        dict(type='LoadAnnotations', with_bbox=True, with_seg=True),
        dict(type='LoadPanopticAnnotations', with_bbox=True),
    ):
        dataset.pipeline = [step]
        assert "dataset.data_prefix.seg='nowhere/': no such folder" in message(coco)


def test_errors_in_annotations_are_refused(coco, tmp_path):
    content = copy.deepcopy(INSTANCES)
    content['images'][1]['id'] = 0
    (tmp_path / 'coco/train.json').write_text(json.dumps(content))
    assert '1 ids that several images have (id 0)' in message(coco)


def test_oddities_in_annotations_are_counted(coco, tmp_path, capsys):
    odd = dict(image_id=0, category_id=1, bbox=[3, 3, 0, 9], area=0)
    odd_ones = [odd | dict(id=i) for i in (8, 9)]
    content = INSTANCES | dict(annotations=INSTANCES['annotations'] + odd_ones)
    (tmp_path / 'coco/train.json').write_text(json.dumps(content))
    check_data(coco, ['train'])
    said = capsys.readouterr().err
    assert said.startswith('warning: train_dataloader.dataset: ')
    assert ', 2 boxes without an area' in said
    assert 'tools/misc/check_dataset.py' in said


def test_classes_must_not_be_one_text(coco):
    """metainfo=dict(classes=('person')), the forgotten comma."""
    coco.train_dataloader.dataset.metainfo = dict(classes='person')
    assert "train_dataloader.dataset.metainfo.classes='person'" in message(coco)


def test_missing_images_are_listed(coco, tmp_path):
    (tmp_path / 'coco/train/1.jpg').unlink()
    assert re.search(r"names 1 images \('.*/train/1\.jpg'\)", message(coco))
    coco.train_dataloader.dataset.indices = 1
    check_data(coco, ['train'])


def test_all_problems_come_in_one_message(coco):
    coco.train_dataloader.dataset.data_root = '/nowhere/'
    coco.val_dataloader = coco.train_dataloader
    coco.val_evaluator = dict(type='CocoMetric', ann_file='/nowhere/val.json')
    text = message(coco, ['train', 'val'])
    for key in (
        'train_dataloader.dataset.ann_file',
        'train_dataloader.dataset.data_prefix.img',
        'val_dataloader.dataset.ann_file',
        'val_dataloader.dataset.data_prefix.img',
        'val_evaluator.ann_file',
    ):
        assert f'\n  {key}=' in text


@pytest.mark.parametrize(
    ('wrap', 'key'),
    [
        (lambda d: dict(type='RepeatDataset', times=3, dataset=d), 'dataset'),
        (lambda d: dict(type='ClassBalancedDataset', dataset=d), 'dataset'),
        (
            lambda d: dict(type='MultiImageMixDataset', dataset=d, pipeline=[]),
            'dataset',
        ),
        (lambda d: dict(type='ConcatDataset', datasets=[d]), 'datasets.0'),
        (
            lambda d: dict(
                type='RepeatDataset',
                dataset=dict(type='ConcatDataset', datasets=[d, d]),
            ),
            'dataset.datasets.1',
        ),
    ],
)
def test_wrappers(coco, wrap, key):
    coco.train_dataloader.dataset.ann_file = 'no.json'
    inner = coco.train_dataloader.dataset
    coco.train_dataloader.dataset = wrap(inner)
    assert f"train_dataloader.dataset.{key}.ann_file='no.json'" in message(coco)


@pytest.mark.parametrize(
    ('evaluator', 'key'),
    [
        (dict(ann_file='no.json'), 'val_evaluator.ann_file'),
        ([dict(), dict(ann_file='no.json')], 'val_evaluator.1.ann_file'),
        (
            dict(type='Evaluator', metrics=[dict(ann_file='no.json')]),
            'val_evaluator.metrics.0.ann_file',
        ),
    ],
)
def test_evaluators(evaluator, key):
    assert f"{key}='no.json'" in message(Config(dict(val_evaluator=evaluator)), ['val'])


def test_only_the_loops_that_run(coco):
    coco.test_evaluator = dict(type='CocoMetric', ann_file='no.json')
    check_data(coco, ['train', 'val'])
    assert 'test_evaluator.ann_file' in message(coco, ['test'])


@pytest.mark.parametrize(
    'change',
    [
        dict(data_root='s3://bucket/coco/'),
        dict(ann_file='https://x.invalid/a.json', data_prefix=dict()),
        dict(data_root='/nowhere', backend_args=dict(backend='petrel')),
    ],
)
def test_remote_data_are_skipped(coco, change):
    coco.train_dataloader.dataset.update(change)
    check_data(coco, ['train'])


def test_data_that_the_config_makes_are_skipped(coco, tmp_path):
    root = f'{tmp_path}/digits'
    inner = coco.train_dataloader.dataset
    inner.data_root = root
    coco.train_dataloader.dataset = dict(
        type='dropblock_mm.DigitScenes', root=root, dataset=inner
    )
    coco.val_evaluator = dict(type='CocoMetric', ann_file=f'{root}/val.json')
    check_data(coco, ['train', 'val'])
    coco.val_evaluator.ann_file = f'{root}_other/val.json'
    assert 'val_evaluator.ann_file' in message(coco, ['val'])


@pytest.mark.parametrize(
    ('lost', 'what'),
    [('JPEGImages/b.jpg', '1 images'), ('Annotations/b.xml', '1 XML files')],
)
def test_voc_lists_missing_files(voc, tmp_path, lost, what):
    (tmp_path / 'VOC2007' / lost).unlink()
    text = message(voc)
    assert f'names {what}' in text
    assert lost in text


def test_data_sets_that_look_elsewhere_are_left_alone(voc, tmp_path):
    """WIDER FACE has a folder level more, and VOC's way of listing files is not its."""
    (tmp_path / 'VOC2007/JPEGImages/b.jpg').unlink()
    voc.train_dataloader.dataset.type = 'WIDERFaceDataset'
    check_data(voc, ['train'])


def test_voc_truncated_xml(voc, tmp_path):
    (tmp_path / 'VOC2007/Annotations/a.xml').write_text('<annotation><object>')
    assert re.search(r'1 XML files that are cut short.*a\.xml', message(voc))


def test_voc_missing_folder(voc):
    voc.train_dataloader.dataset.data_prefix.sub_data_root = 'VOC2012/'
    assert "data_prefix.sub_data_root='VOC2012/': no such folder" in message(voc)


@pytest.mark.parametrize(
    ('lost', 'what'),
    [('JPEGImages/b.jpg', '1 images'), ('SegmentationClass/b.png', '1 label maps')],
)
def test_segmentation_lists_missing_files(segmentation, tmp_path, lost, what):
    (tmp_path / 'VOC2012' / lost).unlink()
    text = message(segmentation)
    assert f'names {what}' in text
    assert lost in text


def test_segmentation_missing_paths(segmentation):
    dataset = segmentation.train_dataloader.dataset
    dataset.ann_file = 'no.txt'
    dataset.data_prefix.seg_map_path = 'Labels'
    text = message(segmentation)
    assert "ann_file='no.txt': no such file" in text
    assert "data_prefix.seg_map_path='Labels': no such folder" in text


def test_unknown_types_are_checked_for_existence_only(coco):
    coco.train_dataloader.dataset.type = 'MyDataset'
    check_data(coco, ['train'])
    coco.train_dataloader.dataset.ann_file = 'no.pkl'
    assert "ann_file='no.pkl'" in message(coco)


@pytest.mark.parametrize(
    ('text', 'flawless'),
    [
        ('{"a": [1, 2]}\n', True),
        ('[{"a": 1}]', True),
        ('{"a": [1, 2', False),
        ('{"a": [1, 2]', False),
    ],
)
@pytest.mark.parametrize('parsed_bytes', [0, 10**6])
def test_json_flaw(tmp_path, text, flawless, parsed_bytes):
    path = tmp_path / 'a.json'
    path.write_text(text.replace('[', f'[{" " * 5000}'))
    assert (json_flaw(str(path), parsed_bytes) == '') == flawless


def test_broken_json_that_only_parsing_finds(coco, tmp_path):
    """A large file that happens to end in a brace."""
    path = tmp_path / 'coco/train.json'
    path.write_text('{"images": [{"id": 1}')
    with (
        pytest.raises(ValueError, match=r"train_dataloader\.dataset\.ann_file='train"),
        naming_bad_data(coco, ['train']),
    ):
        json.loads(path.read_text())


def test_other_json_errors_pass(coco):
    with (
        pytest.raises(json.JSONDecodeError),
        naming_bad_data(coco, ['train']),
    ):
        json.loads('{')


def test_data_sets_without_images_are_named(coco):
    """NumPy says 'need at least one array to concatenate'."""
    with (
        pytest.raises(ValueError, match=r'no image is left.*\(of train_dataloader'),
        naming_bad_data(coco, ['train']),
    ):
        BaseDataset(lazy_init=True)._serialize_data()


def test_other_value_errors_pass(coco):
    with (
        pytest.raises(ValueError, match=r'^need at least one array$'),
        naming_bad_data(coco, ['train']),
    ):
        raise ValueError('need at least one array')


class Broken(BaseDataset):
    """A data set of a kind that no layout knows, and of a broken file."""

    def load_data_list(self):
        return [self.parse_data_info({'ID': 'a'})]

    def parse_data_info(self, raw_data_info):
        assert raw_data_info['ID'] != 'b'
        return raw_data_info['fbox']


def test_what_an_unknown_data_set_cannot_read_is_named(coco):
    coco.train_dataloader.dataset.type = 'Broken'
    with pytest.raises(RefusedError) as found, naming_bad_data(coco, ['train']):
        Broken(ann_file='boxes.odgt')
    said = str(found.value)
    assert said.startswith("Broken: Broken cannot read its annotations, 'boxes.odgt'")
    assert "at {'ID': 'a'}: KeyError: 'fbox' (" in said
    assert 'Correct or complete the files' in said


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'datasets': 'a'}, 'dataset.datasets: not a list'),
        ({'oversample_thr': 'a'}, "dataset.oversample_thr='a': not a number"),
        ({'pipeline': [{'scale': 3}]}, 'dataset.pipeline.0: it has no type'),
        ({'pipeline': []}, 'dataset.dataset.pipeline: it ends with PackDetInputs'),
    ],
)
def test_wrappers_that_end_in_a_bare_error(coco, changes, said):
    inner = coco.train_dataloader.dataset
    inner.pipeline = [dict(type='LoadImageFromFile'), dict(type='PackDetInputs')]
    wrapper = {'type': 'MultiImageMixDataset', 'dataset': inner, **changes}
    found = ' '.join(wrapper_flaws({'dataset': wrapper}, 'train_dataloader'))
    assert said in found


def test_other_wrappers_may_tell_inferencers_of_a_pipeline(coco):
    inner = coco.train_dataloader.dataset
    inner.pipeline = [dict(type='LoadImageFromFile'), dict(type='PackDetInputs')]
    wrapper = {'type': 'Wrapper', 'dataset': inner, 'pipeline': inner.pipeline}
    assert not list(wrapper_flaws({'dataset': wrapper}, 'train_dataloader'))


def test_a_data_set_without_a_type(coco):
    coco.train_dataloader.dataset = {}
    with pytest.raises(ValueError, match='dataset: it has no type'):
        check_data(coco, ['train'])


@pytest.mark.parametrize(
    ('kind', 'refused'),
    [('Mosaic', True), ('mmdet.MixUp', True), ('mmyolo.Mosaic', False)],
)
def test_steps_that_take_several_images(coco, kind, refused):
    entry = next(iter(inventory(coco.to_dict(), ['train']).data_sets))
    steps = {'LoadAnnotations': {}, kind.rpartition('.')[2]: {'type': kind}}
    texts = list(pipeline_flaws(replace(entry, steps=steps)))
    assert bool(texts) == refused
