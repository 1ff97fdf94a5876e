import json

import pytest
from mmengine.registry import MODELS
from torch import nn

from dropblock_mm import expected_keep_rate, seed_rate

RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


@pytest.fixture
def print_sites(load_tool, capsys):
    """A function that runs the tool and returns what it printed."""

    def run(*argv):
        load_tool('print_sites').main(argv)
        return capsys.readouterr().out

    return run


def test_the_papers_recipe_on_a_stock_config(print_sites, tmp_path):
    path = tmp_path / 'sites.json'
    text = print_sites(RETINANET, '--dropblock', 'resnet_c4c5', '--json', str(path))
    assert '36 sites' in text
    assert 'none active' not in text
    assert 'images of 800 x 1344' in text
    assert 'warning' not in text
    report = json.loads(path.read_text())
    assert (report['input_size'], report['notes']) == ([800, 1344], [])
    first, last = report['sites'][0], report['sites'][-1]
    assert (first['module'], first['place']) == ('backbone.layer3.0', 'shortcut')
    for site, size, channels in ((first, (50, 84), 1024), (last, (25, 42), 2048)):
        options = dict(gamma_scale=site['gamma_scale'])
        assert site['maps'] == [
            dict(
                channels=channels,
                height=size[0],
                width=size[1],
                gamma=seed_rate(
                    keep_prob=0.9, block_size=7, feature_size=size, **options
                ),
                expected_keep_rate=expected_keep_rate(
                    keep_prob=0.9, block_size=7, feature_size=size, **options
                ),
                covers_map=False,
            )
        ]
        assert f'{channels} x {size[0]} x {size[1]}' in text


@pytest.mark.parametrize(
    ('fragment', 'number', 'line', 'options'),
    [
        (
            'resnet_c4c5_dropout',
            27,
            'conv1     256 x 100 x 168  Dropout  drop_scale 0.25  keeps 0.9250',
            dict(layer='Dropout', keep_prob=0.7, drop_scale=0.25),
        ),
        (
            'resnet_c5_drop_path',
            3,
            'branch    2048 x 25 x 42  DropPath  keeps 0.9000',
            dict(layer='DropPath', keep_prob=0.9, drop_scale=1.0),
        ),
    ],
)
def test_other_layers_show_what_they_do(
    print_sites, tmp_path, fragment, number, line, options
):
    path = tmp_path / 'sites.json'
    text = print_sites(RETINANET, '--dropblock', fragment, '--json', str(path))
    assert f'{number} sites' in text
    assert line in text
    assert 'gamma' not in text
    site = json.loads(path.read_text())['sites'][0]
    assert site.items() >= options.items()
    assert {*site['maps'][0]} == {'channels', 'height', 'width', 'expected_keep_rate'}


def test_all_sites_where_nothing_asks_for_some(print_sites):
    text = print_sites(RETINANET, '--input-size', '128', '96', '--block-size', '3')
    lines = [line for line in text.splitlines() if 'gamma' in line]
    assert '80 sites' in text
    assert 'none active, these are the possible sites' in text.splitlines()[0]
    assert 'fpn_convs' in text
    assert sum('cls_convs' in line for line in text.splitlines()) == 1
    assert len(lines) == 64 + 8 + 8 * 5  # a head sees five levels
    assert all('block_size 3' in line for line in lines)
    assert sum('frozen' in line for line in lines) == 12
    covered = [line for line in lines if 'covers the map' in line]
    assert covered
    assert '256 x 1 x 1' in covered[-1]
    assert 'warning: the block covers the map at' in text


def test_layers_of_a_momentum_encoder_are_not_frozen(print_sites):
    text = print_sites('mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py')
    lines = text.splitlines()
    assert sum('averaged' in line for line in lines) == 64
    assert not [line for line in lines if 'frozen' in line]


def test_auto_says_what_it_took(print_sites):
    text = ' '.join(print_sites(RETINANET, '--dropblock', 'auto').split())
    assert '36 sites' in text
    assert "note: targets='auto' took backbone.layer3 (gamma_scale 0.25) and" in text


def test_the_config_tells_the_size_of_the_images(print_sites):
    """YOLOv3's are much smaller than other detectors' of COCO."""
    text = print_sites('mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py')
    assert 'images of 320 x 320' in text
    assert '1024 x 10 x 10' in text


def test_weights_are_not_loaded(print_sites, tmp_path):
    """Timm's are when the model is built."""

    @MODELS.register_module(force=True)
    class Pretrained(nn.Sequential):
        def __init__(self, pretrained=False):
            assert not pretrained
            super().__init__(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))

    config = tmp_path / 'config.py'
    config.write_text("model = dict(type='mmengine.Pretrained', pretrained=True)")
    assert '4 x 800 x 1344' in print_sites(str(config))


def test_json_alone_can_be_printed(print_sites):
    report = json.loads(
        print_sites(RETINANET, '--keep-prob', '0.5', '--block-size', '1', '--json', '-')
    )
    rates = {m['expected_keep_rate'] for s in report['sites'] for m in s['maps']}
    assert {s['keep_prob'] for s in report['sites']} == {0.5}
    assert all(rate == pytest.approx(0.5) for rate in rates)


def test_what_is_not_known_is_said(print_sites):
    text = print_sites('mmseg::psanet/psanet_r50-d8_4xb4-20k_voc12aug-512x512.py')
    lines = text.splitlines()
    assert 'images of 512 x 512' in lines[0]
    said = '2 sites were run on the CPU, with images of 256 x 256 only: decode_head[0]'
    assert any(said in line for line in lines)
    assert [line.endswith('small images') for line in lines].count(True) == 2


def test_what_cannot_be_run_is_said(print_sites):
    """CARAFE works on GPUs alone."""
    text = print_sites(
        'mmdet::carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py',
        *('--input-size', '128', '96'),
    )
    assert text.count('size unknown') == 5
    assert '5 sites were not reached by running backbone, neck and heads one by' in text


def test_a_refusal_is_one_message(refused, tmp_path):
    fragment = tmp_path / 'backbone.py'
    fragment.write_text(
        "custom_hooks = [dict(type='dropblock_mm.DropBlockInjectionHook', "
        "keep_prob=0.9, targets=[dict(module='backbone')])]"
    )
    said = refused(
        'print_sites',
        'mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py',
        '--dropblock',
        str(fragment),
    )
    assert 'backbone (MixVisionTransformer), which has no site' in said
