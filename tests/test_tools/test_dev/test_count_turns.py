"""The check of data reads each part of a config about once."""

import json

import pytest

from tools.dev import count_turns

CONFIG = """
default_scope = 'mmdet'
model = dict(type='RetinaNet', bbox_head=dict(type='RetinaHead', num_classes=2))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
data = dict(
    type='CocoDataset', data_root={root!r}, ann_file='coco.json',
    data_prefix=dict(img=''), metainfo=dict(classes=('three', 'eight')),
    pipeline=pipeline)
train_dataloader = dict(batch_size=1, dataset=data)
val_dataloader = dict(batch_size=1, dataset=data)
val_evaluator = dict(type='CocoMetric', ann_file={root!r} + '/coco.json')
"""


@pytest.mark.usefixtures('load_tool')
def test_it_turns_back_fewer_than_10_times(detection_files, tmp_path, capsys):
    file = detection_files['ann_file']
    content = json.loads(file.read_text())
    for number, annotation in enumerate(content['annotations']):
        annotation |= {'id': number, 'iscrowd': 0, 'area': 200}
    for image in content['images']:
        image |= {'width': 50, 'height': 40}
    file.write_text(json.dumps(content))
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(root=str(tmp_path)))
    assert count_turns.main([str(path)]) == 0
    turns, way = capsys.readouterr().out.splitlines()
    assert 'train_dataloader, train_evaluator, val_dataloader, val_evaluator' in way
    assert 0 < int(turns.split()[2]) < 10


def test_what_is_a_turn():
    assert [*count_turns.turns_back('abcabda')] == ['a', 'b', 'a']
