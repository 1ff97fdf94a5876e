"""Whatever stands in an annotation file, the check gives an answer, a right one."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmdet.datasets import CocoDataset, XMLDataset

from dropblock_mm.data_checks.annotations.coco_values import crowd_problems
from dropblock_mm.data_checks.inventory import inventory
from dropblock_mm.data_checks.layouts import layout_of

CLASSES = ('cat', 'dog')
CONTENT = dict(
    images=[dict(id=i, file_name=f'{i}.jpg', width=32, height=32) for i in (1, 2)],
    annotations=[
        dict(
            id=i,
            image_id=i,
            category_id=i,
            bbox=[2, 2, 9, 9],
            area=81,
            iscrowd=0,
            segmentation=[[2, 2, 11, 2, 11, 11]],
        )
        for i in (1, 2)
    ],
    categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.floats()
    | st.sampled_from(['', '7', 'cat', '2.jpg'])
)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(['id', 'name']), inner, max_size=2)
    ),
    max_leaves=4,
)
GONE = object()


@st.composite
def contents(draw):
    """A sound file in which one or two values were replaced, or taken away."""
    found = copy.deepcopy(CONTENT)
    for _ in range(draw(st.integers(1, 2))):
        part = draw(st.sampled_from(sorted(CONTENT)))
        value = draw(values | st.just(GONE))
        listed = found.get(part)
        if not isinstance(listed, list) or not listed or draw(st.integers(0, 9)) == 0:
            found[part] = value
            if value is GONE:
                del found[part]
            continue
        index = draw(st.integers(0, len(listed) - 1))
        if not isinstance(listed[index], dict) or draw(st.integers(0, 9)) == 0:
            listed[index] = None if value is GONE else value
            continue
        key = draw(st.sampled_from(sorted(CONTENT[part][0])))
        listed[index][key] = value
        if value is GONE:
            del listed[index][key]
    return found


def errors_of(config):
    (entry,) = inventory(config, ['train']).data_sets
    layout = layout_of(entry)
    look = layout.look(entry, 10**6)
    if look.usable:
        list(layout.jobs(entry))
    return [f'{kind.title} ({text})' for kind, text in look.problems if kind.is_error]


FAST = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(found=contents())
@FAST
def test_coco(tmp_path, found):
    """Where nothing is refused, mmdet reads the file."""
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(found))
    for name in ('1.jpg', '2.jpg', '7', 'cat'):
        (tmp_path / name).write_bytes(b'')
    options = dict(
        ann_file=str(path),
        data_prefix=dict(img=f'{tmp_path}/'),
        metainfo=dict(classes=CLASSES),
    )
    dataset = dict(
        type='CocoDataset', pipeline=[dict(type='LoadAnnotations', with_mask=True)]
    )
    config = dict(
        default_scope='mmdet', train_dataloader=dict(dataset=dataset | options)
    )
    if not errors_of(config):
        built = CocoDataset(pipeline=[], **options)
        for index in range(len(built)):
            info = built.get_data_info(index)
            assert all(len(box['bbox']) == 4 for box in info['instances'])
            assert all('mask' in box for box in info['instances'])
        list(crowd_problems(found))


texts = st.sampled_from(['', '0', '1', ' 1 ', '2.5', '-3', 'nan', 'cat', '99', '1e3'])
TAGS = ('difficult', 'name', 'xmin', 'ymin', 'xmax', 'ymax', 'width', 'height')


@given(
    changed=st.dictionaries(st.sampled_from(TAGS), texts, max_size=3),
    gone=st.sets(st.sampled_from((*TAGS, 'size', 'bndbox')), max_size=2),
)
@FAST
def test_voc(tmp_path, changed, gone):
    sound = dict(difficult='0', name='cat', width='32', height='32')
    sound |= dict(xmin='2', ymin='2', xmax='20', ymax='20') | changed

    def tags(*names):
        return ''.join(f'<{n}>{sound[n]}</{n}>' for n in names if n not in gone)

    def around(name, inside):
        return '' if name in gone else f'<{name}>{inside}</{name}>'

    box = around('bndbox', tags('xmin', 'ymin', 'xmax', 'ymax'))
    size = around('size', tags('width', 'height'))
    text = f'<annotation>{size}<object>{tags("name", "difficult")}{box}</object>'
    for folder in ('Annotations', 'JPEGImages'):
        (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / 'Annotations/a.xml').write_text(f'{text}</annotation>')
    (tmp_path / 'JPEGImages/a.jpg').write_bytes(b'')
    (tmp_path / 'names.txt').write_text('a\n')
    options = dict(
        ann_file='names.txt',
        data_root=str(tmp_path),
        data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=CLASSES),
    )
    dataset = dict(type='XMLDataset') | options
    config = dict(default_scope='mmdet', train_dataloader=dict(dataset=dataset))
    errors = errors_of(config)
    if 'size' in gone or '-3' in (sound['width'], sound['height']):
        return  # mmdet reads the image for it; or leaves out the only one
    if not errors:
        XMLDataset(pipeline=[], **options)
    elif 'name' not in gone and sound['name'] == 'cat' and is_unread(errors):
        with pytest.raises((TypeError, ValueError, AttributeError, OverflowError)):
            XMLDataset(pipeline=[], **options)


def is_unread(errors):
    """Whether the check says that the data set cannot be read."""
    return any('size is not' in e or 'objects' in e.partition('(')[0] for e in errors)
