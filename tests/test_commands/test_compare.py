"""The comparison of a config with and without, as a user types it."""

import json

import pytest

from dropblock_mm.testing.toy import EVALUATED_TOY_CONFIG

FRAGMENT = """
custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        keep_prob=0.5,
        block_size=1,
        targets=[dict(module='{module}')],
    )
]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'toy.py'
    path.write_text(EVALUATED_TOY_CONFIG.replace('max_epochs=3', 'max_epochs=1'))
    return str(path)


@pytest.fixture
def fragment(tmp_path):
    """A function that writes a fragment for a module, and returns its path."""

    def write(module='backbone.layer4', name='strong'):
        path = tmp_path / f'{name}.py'
        path.write_text(FRAGMENT.format(module=module))
        return str(path)

    return write


@pytest.fixture
def compare(load_tool, tmp_path, capsys):
    """A function that runs the command to its end, and returns status and output."""

    def run(*argv):
        with pytest.raises(SystemExit) as stop:
            load_tool('compare').main([*argv, '--work-dir', str(tmp_path / 'work')])
        said = capsys.readouterr()
        return stop.value.code, said.out + said.err

    return run


def test_a_comparison_is_made_and_goes_on(
    compare, config, fragment, interrupted_at, tmp_path
):
    arms = [config, '--dropblock', fragment(), '--gap-images', '4']
    interrupted_at(3)  # none: training, its evaluation on training images; strong
    status, said = compare(*arms, '--seeds', '0')
    assert status == 130, said
    assert 'interrupted; the same command goes on: ' in said
    content = json.loads((tmp_path / 'work/compare.json').read_text())
    assert [run['state'] for run in content['runs']] == ['finished', 'not started']
    status, said = compare(*arms, '--seeds', '0')
    assert status == 0, said
    assert said.count('finished before') == 1
    content = json.loads((tmp_path / 'work/compare.json').read_text())
    plain, strong = content['arms']
    assert (plain['name'], strong['name']) == ('none', 'strong')
    assert strong['difference']['left_out'] == strong['difference']['notes'] == {}
    seen = [run['images_seen'] for run in content['runs']]
    assert seen[0] == seen[1], 'the same images in the same order'
    assert seen[0]['iterations'] == 4
    assert content['runs'][1]['effective_keep_rate'] < 0.7
    assert content['runs'][0]['effective_keep_rate'] is None
    assert all(run['on_training'] for run in content['runs'])
    assert 'but one pair has no interval' in said
    for end in ('md', 'txt', 'png'):
        assert (tmp_path / f'work/compare.{end}').stat().st_size
    # The same command once more trains nothing; another metric is a matter of words.
    status, said = compare(*arms, '--seeds', '0', '--metric', 'toy/ones')
    assert status == 0
    assert said.count('finished before') == 2
    assert 'toy/ones, mean' in said
    # What is not there is said, with what is near.
    status, said = compare(*arms, '--seeds', '0', '--metric', 'toy/accurracy')
    assert status == 2
    assert "Did you mean 'toy/accuracy'" in said
    # Other settings do not belong in this folder.
    status, said = compare(*arms, '--seeds', '1', '--epochs', '2')
    assert status == 2
    assert 'train_cfg.max_epochs: 1 before, 2 now' in said
    fewer = ['--cfg-options', 'train_dataloader.dataset.length=4']
    status, said = compare(*arms, '--seeds', '0', *fewer)
    assert status == 2
    assert 'train_dataloader.dataset.length' in said, 'other data'


def test_what_cannot_be_compared_is_refused_before_training(
    compare, config, fragment, tmp_path
):
    for argv, expected in {
        (config,): 'nothing to compare. Give --dropblock',
        (config, '--dropblock', 'resnet_c4c6'): "--dropblock 'resnet_c4c6' is neither",
        (config, '--dropblock', fragment(), '--also', fragment()): 'there is one',
        (config, '--dropblock', fragment('backbone.layr4', 'typo')): 'backbone.layer4',
        (
            *(config, '--dropblock', fragment()),
            *('--cfg-options', 'custom_hooks.3.block_size=3'),
        ): 'no config has more than 1 custom_hooks',
    }.items():
        status, said = compare(*argv)
        assert status == 2, argv
        assert expected in said
        assert said.count('error: ') == 1
    assert not list(tmp_path.glob('work/*_seed*'))


def test_a_config_without_evaluation_is_refused(compare, fragment, tmp_path):
    config = tmp_path / 'bare.py'
    config.write_text(EVALUATED_TOY_CONFIG.partition('val_dataloader')[0])
    status, said = compare(str(config), '--dropblock', fragment())
    assert status == 2
    assert 'sets no val_dataloader' in said


def test_a_config_with_dropblock_is_compared_with_itself_without(
    compare, config, fragment, tmp_path
):
    with open(config, 'a') as file:
        file.write(FRAGMENT.format(module='backbone.layer4'))
    status, said = compare(config, '--dry-run', '--seeds', '0')
    assert status == 0, said
    assert 'none, seed 0: not started' in said
    assert 'config, seed 0: not started' in said
    assert not (tmp_path / 'work').exists()


def test_options_of_hooks_reach_the_arms_that_have_them(
    load_tool, config, fragment, tmp_path
):
    tool = load_tool('compare')
    options = ['--cfg-options', 'custom_hooks.0.block_size=3']
    argv = [config, '--dropblock', fragment(), *options]
    series = tool.make_series(tool.parse_args(argv), argv)
    plain, strong = series.plan.asked[:2]
    assert not plain.cfg.get('custom_hooks')
    assert strong.cfg.custom_hooks[0].block_size == 3
    assert plain.cfg.train_dataloader == strong.cfg.train_dataloader
    assert plain.cfg.train_cfg == strong.cfg.train_cfg


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        (['--budget', '0'], "'0' is not a number of hours above 0"),
        (['--seeds', '-1'], "'-1' is not a whole number below 2**32"),
        (['--gpus', '2'], '--gpus needs --launcher'),
        (['--gap-images', 'x'], "'x' is not a whole number"),
    ],
)
def test_mistyped_options_are_named(refused, config, argv, said):
    assert said in refused('compare', config, *argv)


def test_a_config_that_no_training_takes_is_told_in_a_line_each(
    compare, tmp_path, fragment
):
    broken = EVALUATED_TOY_CONFIG + "\noptim_wrapper['optimizer']['momentun'] = 0.9\n"
    config = tmp_path / 'broken.py'
    config.write_text(broken)
    arms = [str(config), '--dropblock', fragment(), '--gap-images', '0']
    status, said = compare(*arms, '--seeds', '0')
    assert status == 1, said
    assert said.count('error: SGD') == 2, said
    assert 'LoggerHook' not in said, 'what it said before the message'
    assert 'none, seed 0 (failed with status 2)' in said
    wrote = f'wrote {tmp_path / "work/compare"}.md, .txt and .json\n'
    assert wrote in said, 'no picture without a number'
