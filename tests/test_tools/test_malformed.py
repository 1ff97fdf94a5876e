"""A hundred malformed inputs: one message each, exit status 2, nothing written."""

import json

import pytest
import torch

INJECTION = 'dropblock_mm.DropBlockInjectionHook'
SCHEDULE = 'dropblock_mm.KeepProbScheduleHook'
LAYER4 = [dict(module='backbone.layer4')]


def hooks(*entries):
    return f'custom_hooks = {list(entries)!r}'


def inject(**options):
    return hooks(dict(type=INJECTION, **(dict(block_size=3, targets=LAYER4) | options)))


def schedule(**options):
    return hooks(dict(type=SCHEDULE, **(dict(keep_prob=0.9) | options)))


def target(**options):
    return inject(targets=[dict(module='backbone.layer4') | options])


# Lines behind a sound config.
CONFIGS = {
    'no Python': 'model = dict(',
    'an error in it': 'model = 1 / 0',
    'a base that is not there': "_base_ = 'no_such_base.py'",
    'an unknown scope': "default_scope = 'mmnone'",
    'a module that is not there': "custom_imports = dict(imports=['no_such_module'])",
    'no model type': 'model = dict()',
    'an unknown model': "model = dict(type='NoSuchModel')",
    'an unknown argument of the model': "model['no_such'] = 1",
    'no loop': 'train_cfg = None',
    'an unknown loop': "train_cfg = dict(type='NoSuchLoop', max_epochs=1)",
    'no optimizer': 'optim_wrapper = None',
    'an unknown optimizer': "optim_wrapper = dict(optimizer=dict(type='NoSuch'))",
    'no data': 'train_dataloader = None',
    'an unknown data set': "train_dataloader['dataset'] = dict(type='NoSuchSet')",
    'no data set': "del train_dataloader['dataset']",
    'no kind of optimizer': 'optim_wrapper = dict(optimizer=dict(lr=0.1))',
    'what a hook asserts': "custom_hooks = [dict(type='EMAHook', begin_iter=-1)]",
    'what a loop asserts': "train_cfg = dict(by_epoch=True, max_epochs='2')",
    'an unknown sampler': "train_dataloader['sampler'] = dict(type='NoSuchSampler')",
    'an unknown schedule': "param_scheduler = dict(type='NoSuchLR')",
    'weights that are not there': "load_from = 'no_such.pth'",
    'an array': "something = __import__('numpy').ones(2)",
    'an unknown hook': "custom_hooks = [dict(type='NoSuchHook')]",
    'a hook without its scope': (
        "custom_hooks = [dict(type='KeepProbScheduleHook', keep_prob=0.9)]"
    ),
    'a number for hooks': 'custom_hooks = 3',
    'a number as a hook': 'custom_hooks = [3]',
    'a hook without a type': 'custom_hooks = [dict(keep_prob=0.9)]',
}
ARGUMENTS = {
    'no file': ['no_such.py'],
    'no package': ['mmnone::a.py'],
    'no file of a package': ['mmdet::no_such.py'],
    'no fragment': ['CONFIG', '--dropblock', 'no_such_fragment'],
    'no file of a fragment': ['CONFIG', '--dropblock', 'no/such.py'],
    'no checkpoint': ['CONFIG', '--resume', 'no_such.pth'],
    'no scaling of the rate': ['CONFIG', '--auto-scale-lr'],
    'an option without a value': ['CONFIG', '--cfg-options', 'model.depth'],
    'an unknown option': ['CONFIG', '--no-such-option'],
    'two configs': ['CONFIG', 'CONFIG'],
    'nothing': [],
}
RATES = {
    repr(value): schedule(keep_prob=value)
    for value in (-0.1, 0, 1.5, 90, '0.9', None, [0.9], dict(a=1))
}
BLOCKS = {
    repr(value): inject(block_size=value)
    for value in (0, -3, 1.5, '3', None, [3, -1], dict(a=1))
}
TARGETS = {
    repr(value): inject(targets=value)
    for value in (None, 3, [], [3], [dict()], [dict(module=3)], 'backbone.layer4')
}
TARGET = {
    'a module that is not there': target(module='backbone.layer9'),
    'a module in other letters': target(module='Backbone.layer4'),
    'an unknown key': target(blocksize=3),
    'an unknown layer': target(layer='NoSuchDrop'),
    'a gamma_scale below 0': target(gamma_scale=-1),
    'a gamma_scale of text': target(gamma_scale='x'),
    'an unknown place': target(where='nowhere'),
    'a block_size of 0': target(block_size=0),
}
HOOKS = {
    'an unknown argument': inject(blocksize=3),
    'an unknown argument of the schedule': schedule(keepprob=0.9),
    'an unknown shape': schedule(schedule='no_such'),
    'begin behind end': schedule(begin=9, end=3),
    'a schedule with nothing injected': schedule(),
    'injected twice': hooks(
        *[dict(type=INJECTION, block_size=3, targets=LAYER4) for _ in range(2)]
    ),
}
TABLE = {
    f'{group}: {name}': lines
    for group, rows in (
        ('config', CONFIGS),
        ('keep_prob', RATES),
        ('block_size', BLOCKS),
        ('targets', TARGETS),
        ('target', TARGET),
        ('hook', HOOKS),
    )
    for name, lines in rows.items()
}


@pytest.fixture
def refuses(load_tool, toy_config, tmp_path, capsys, monkeypatch):
    """A function that trains, and expects a message and an untouched folder."""
    monkeypatch.chdir(tmp_path)

    def refuse(argv, lines=''):
        with open(toy_config, 'a', encoding='utf-8') as file:
            file.write(f'\n{lines}\n')
        before = sorted(path.name for path in tmp_path.rglob('*'))
        argv = [toy_config if arg == 'CONFIG' else arg for arg in argv]
        with pytest.raises(SystemExit) as stop:
            load_tool('train').main([*argv, '--work-dir', str(tmp_path / 'run')])
        said = capsys.readouterr().err
        assert stop.value.code == 2
        assert said.count('error: ') == 1
        assert 'Traceback' not in said
        after = {p.name for p in tmp_path.rglob('*')} - {'__pycache__'}
        assert after - set(before) == set()
        return said

    return refuse


@pytest.mark.parametrize('name', TABLE)
def test_configs(refuses, name):
    refuses(['CONFIG'], TABLE[name])


@pytest.mark.parametrize('name', ARGUMENTS)
def test_arguments(refuses, name):
    refuses(ARGUMENTS[name])


CHECKPOINTS = {
    'empty': b'',
    'text': b'no checkpoint',
    'a part of a zip file': b'PK\x03\x04' + b'\0' * 99,
    'a pickle that calls': b'cos\nsystem\n(S"true"\ntR.',
}


@pytest.mark.parametrize('resume', [True, False])
@pytest.mark.parametrize('name', CHECKPOINTS)
def test_checkpoints(refuses, tmp_path, name, resume):
    path = tmp_path / 'a.pth'
    path.write_bytes(CHECKPOINTS[name])
    if resume:
        refuses(['CONFIG', '--resume', str(path)])
    else:
        refuses(['CONFIG', '--cfg-options', f'load_from={path}'])


@pytest.mark.parametrize('content', [{}, [1], {'state_dict': {}}])
def test_checkpoints_without_a_state(refuses, tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    refuses(['CONFIG', '--resume', str(tmp_path / 'a.pth')])


def coco(**changes):
    box = dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 9, 9], area=81, iscrowd=0)
    return {
        'images': [dict(id=1, file_name='a.jpg', width=32, height=32)],
        'annotations': [box],
        'categories': [dict(id=1, name='cat')],
    } | changes


def boxes(**changes):
    return coco(annotations=[coco()['annotations'][0] | changes])


def images(**changes):
    return coco(images=[coco()['images'][0] | changes])


DATA = {
    'no JSON': '{"images": [',
    'a list': [],
    'a number': 3,
    'no images': coco(images=None),
    'no categories': coco(categories=None),
    'null for annotations': coco(annotations=None),
    'nothing annotated': coco(annotations=[]),
    'text for a box': boxes(bbox='1,1,9,9'),
    'three numbers': boxes(bbox=[1, 1, 9]),
    'no number': boxes(bbox=[1, 1, 9, float('nan')]),
    'text for an area': boxes(area='81'),
    'text for crowd': boxes(iscrowd='0'),
    'all crowd': boxes(iscrowd=1),
    'all ignored': boxes(ignore=1),
    'no area': boxes(area=0),
    'outside': boxes(bbox=[90, 90, 9, 9]),
    'another image': boxes(image_id=2),
    'another category': boxes(category_id=0),
    'null for an id': boxes(id=None),
    'a width of text': images(width='32'),
    'a width of 0': images(width=0),
    'a missing image': images(file_name='b.jpg'),
    'no file name': images(file_name=None),
    'a URL behind a folder': images(file_name='http://example.org/a.jpg'),
    'a number for a name': coco(categories=[dict(id=1, name=7)]),
    'no class of the config': coco(categories=[dict(id=1, name='emu')]),
    'one id twice': coco(annotations=coco()['annotations'] * 2),
}


@pytest.mark.parametrize('name', DATA)
def test_data(refuses, tmp_path, name):
    found = DATA[name]
    text = found if isinstance(found, str) else json.dumps(found)
    (tmp_path / 'a.json').write_text(text)
    (tmp_path / 'a.jpg').write_bytes(b'... \xff\xd9')
    dataset = dict(
        type='mmdet.CocoDataset',
        data_root=f'{tmp_path}/',
        ann_file='a.json',
        data_prefix=dict(img=''),
        metainfo=dict(classes=('cat',)),
    )
    said = refuses(['CONFIG'], f"train_dataloader['dataset'] = {dataset!r}")
    assert 'train_dataloader.dataset' in said


def test_they_are_a_hundred():
    assert len(TABLE) + len(ARGUMENTS) + len(CHECKPOINTS) * 2 + 3 + len(DATA) >= 100
