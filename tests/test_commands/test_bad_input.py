"""What cannot be used is refused by every command in one message, with status 2."""

import shutil
from pathlib import Path

import pytest

from dropblock_mm.__main__ import main
from dropblock_mm.testing.small_models import write_images, write_model
from dropblock_mm.testing.toy import EVALUATED_TOY_CONFIG
from dropblock_mm.testing.training_logs import made_up_rows, write_log

FRAGMENT = """
custom_hooks = [dict(type='dropblock_mm.DropBlockInjectionHook',
                     targets=[dict(module='backbone.layr4')])]
"""
SUGGESTED = "Did you mean 'backbone.layer4'"


@pytest.fixture(scope='module')
def given(tmp_path_factory, data, small_run):
    """What is right, and what is wrong, by name."""
    root = tmp_path_factory.mktemp('given')
    run, other = small_run('mmpretrain'), small_run('mmseg')
    (root / 'broken.png').write_text('no image')
    (root / 'empty').mkdir()
    (root / 'bare').mkdir()
    shutil.copy(f'{run}/config.py', root / 'bare/config.py')
    write_log(root / 'logged', '20200131_235959', made_up_rows())
    (root / 'toy.py').write_text(EVALUATED_TOY_CONFIG)
    (root / 'typo.py').write_text(FRAGMENT)
    # The same model on images of another folder, and on fewer of the same.
    write_images(root / 'set')
    write_model(root / 'elsewhere', 'mmpretrain', root / 'set')
    shutil.copytree(run, root / 'fewer')
    names = ('broken.png', 'empty', 'bare', 'logged', 'toy.py', 'typo.py')
    found = {Path(name).stem: str(root / name) for name in (*names, 'elsewhere')}
    some = root / 'fewer/config.py'
    (data / 'some.txt').write_text('0.png 0\n1.png 1\n')
    some.write_text(some.read_text().replace('list.txt', 'some.txt'))
    return {
        **found,
        'run': run,
        'other': other,
        'image': str(data / 'images/0.png'),
        'absent': str(root / 'absent'),
        'fewer': str(root / 'fewer'),
        'odd': str(root / 'out.txt'),
    }


MISTAKES = [
    # command, arguments, what the message says
    ('predict', '{broken} --model {run}', 'cannot be read as an image'),
    ('predict', '{absent} --model {run}', 'cannot be read as an image'),
    ('predict', '{empty} --model {run}', 'holds no images'),
    ('predict', '{image} --model {absent}', 'is no folder'),
    ('predict', '{image} --model {empty}', 'holds no config'),
    ('predict', '{image} --model {bare}', 'holds no checkpoint'),
    ('predict', '{image} --model {run} --model {run}', 'two models are called'),
    (
        'predict',
        '{image} --model {run}/config.py {other}/epoch_1.pth',
        'is of another model',
    ),
    ('predict', '{image} --model {run}/config.py {broken}', 'broken.png'),
    ('predict', '{image} --model {run} --out-dir {broken}', 'is not a folder'),
    ('publish', '{run}/epoch_1.pth {empty}', 'is a folder. Give the name of a file'),
    ('publish', '{run}/epoch_1.pth {broken}/x.pth', 'is not a folder'),
    ('publish', '{broken}', 'broken.png'),
    ('publish', '{absent}', 'absent'),
    ('publish', '{empty}', 'empty'),
    ('publish', '{run}/epoch_1.pth {run}/epoch_1.pth', 'is the checkpoint itself'),
    ('publish', '{run}/epoch_1.pth --ema', 'trained without EMAHook'),
    ('report', '{empty}', 'holds no run'),
    ('report', '{absent}', 'does not exist'),
    ('report', '{logged} {empty}', 'holds no run'),
    ('report', '{broken}', 'is no checkpoint (*.pth)'),
    ('report', '{logged} --out {empty}', 'is a folder. Give the name of a file in it'),
    ('report', '{logged} --out {broken}/page.html', 'is not a folder'),
    ('print-sites', '{toy} --json {empty}', 'is a folder'),
    ('check-dataset', '{toy} --json {broken}/found.json', 'is not a folder'),
    ('estimate-cost', '{toy} --json {empty}', 'is a folder'),
    ('masks', '{toy} {broken}', 'cannot be read as an image'),
    ('masks', '{toy} {absent}', 'cannot be read as an image'),
    ('masks', '{toy} {empty}', 'cannot be read as an image'),
    ('masks', '{absent}.py {image}', 'absent.py'),
    ('masks', '{toy} {image} --dropblock {typo}', 'backbone.layer4'),
    ('masks', '{toy} {image} --out {odd}', 'ends in .png or .svg'),
    ('masks', '{toy} {image} --animation {odd}', '.webp'),
    ('masks', '{toy} {image} --animation {broken}/a.gif', 'is not a folder'),
    ('plot-schedule', '{toy} --work-dir {empty}', 'with the log of a training'),
    ('plot-schedule', '{toy} --work-dir {absent}', 'with the log of a training'),
    ('plot-schedule', '{toy} --dropblock {typo}', 'backbone.layer4'),
    ('plot-schedule', '{toy} --out {odd}', 'ends in .png or .svg'),
    ('plot-schedule', '{run}/config.py', 'the config sets no train_dataloader and no'),
    ('plot-schedule', '{toy}', 'has no DropBlock, and --dropblock names none'),
    ('masks', '{toy} {image}', 'has no DropBlock, and --dropblock names none'),
    ('masks', '{toy} {image} --out {broken}/masks.png', 'is not a folder'),
    ('masks', '{toy} {image} --out /proc/no/masks.png', "in '/proc' nothing can be"),
    ('report', '{logged} --out /proc/no/page.html', "in '/proc' nothing can be made"),
    ('activation-maps', '--model {run} --layer backbone.layr4', SUGGESTED),
    ('activation-maps', '--model {run} --class dgo', "Did you mean 'dog'"),
    ('activation-maps', '--model {run} --images {broken}', 'cannot be read as an'),
    ('activation-maps', '--model {run} --images {empty}', 'holds no images'),
    ('activation-maps', '--model {bare}', 'holds no checkpoint'),
    (
        'activation-maps',
        '--model {run}/config.py {other}/epoch_1.pth',
        'is of another model',
    ),
    ('activation-maps', '--model {run} --model {other}', 'which do different things'),
    ('robustness', '--model {run} --model {other}', 'Compare models of one task'),
    ('activation-maps', '--model {run} --model {fewer}', 'different test data: '),
    ('activation-maps', '--model {run} --model {elsewhere}', 'different test data: '),
    ('robustness', '--model {run} --model {run}', 'two models are called'),
    ('robustness', '--model {bare}', 'holds no checkpoint'),
    (
        'robustness',
        '--model {run}/config.py {other}/epoch_1.pth',
        'is of another model',
    ),
    ('robustness', '--model {run} --model {fewer}', 'different test data: '),
    ('robustness', '--model {run} --model {elsewhere}', 'different test data: where'),
    ('robustness', '--model {run} --keep-probs 1', 'the grid has one point, keep_prob'),
    (
        'robustness',
        '--model {run} --keep-probs 0.9 0.9 --block-sizes 3',
        'the grid has one point, block 3, keep_prob 0.9',
    ),
    ('robustness', '--model {run} --keep-probs 1.1', 'is not a number in (0, 1]'),
    ('robustness', '--model {run} --dropblock resnet_c4c6', 'resnet_c4c5, '),
    ('robustness', '--model {run} --dropblock {typo}', 'backbone.layer4'),
    ('compare', '{toy}', 'nothing to compare'),
    ('compare', '{toy} --dropblock resnet_c4c6', 'resnet_c4c5, '),
    ('compare', '{toy} --dropblock {typo}', 'backbone.layer4'),
    ('compare', '{absent}.py --dropblock resnet_c4c5', 'absent.py'),
    ('compare', '{run}/config.py --dropblock resnet_c4c5', 'sets no'),
    ('sweep', '{toy} --keep-prob 0.9', 'the grid has one point'),
    ('sweep', '{toy} --modules backbone.layr4', 'backbone.layer4'),
    ('sweep', '{absent}.py', 'absent.py'),
    ('plot-training', '{empty}', 'with the log of a training'),
    ('plot-training', '{absent}', 'with the log of a training'),
    ('plot-training', '{logged} --metric coco/bbox_mAp', 'It has coco/bbox_mAP'),
    ('plot-training', '{logged} --out {odd}', 'ends in .png'),
]


@pytest.mark.usefixtures('load_tool')
@pytest.mark.parametrize(('command', 'words', 'said'), MISTAKES)
def test_one_message_says_it(
    given, monkeypatch, tmp_path, capsys, command, words, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('sys.argv', ['dropblock-mm'])
    with pytest.raises(SystemExit) as stop:
        main([command, *(word.format(**given) for word in words.split())])
    assert stop.value.code == 2
    told = capsys.readouterr()
    assert told.err.count('error: ') == 1
    assert said in told.err.partition('error: ')[2]
    assert 'Traceback' not in told.out + told.err
    assert not [p for p in tmp_path.rglob('*') if p.suffix in ('.png', '.pth', '.html')]
