import re

import pytest

from dropblock_mm.analysis.sites.stock_models import StockConfig, read_config
from tools.dev import stock_sites, write_supported_models

NAMES = [
    ('mmdet', 'retinanet/retinanet_r18_fpn_1x_coco.py'),
    ('mmdet', 'retinanet/retinanet_r50_fpn_1x_coco.py'),
    ('mmdet', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'),
    ('mmdet', 'tridentnet/tridentnet_r50-caffe_1x_coco.py'),
    ('mmdet', 'yolox/yolox_tta.py'),
    ('mmseg', 'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'),
    ('mmpretrain', 'resnet/resnet18_8xb32_in1k.py'),
    ('mmpretrain', 'repvgg/repvgg-A0_8xb32_in1k.py'),
    ('mmpretrain', 'repvgg/repvgg-A0_deploy_in1k.py'),
    ('mmpretrain', 'vgg/vgg16_8xb32_in1k.py'),
]


def test_the_page_says_what_is_served_and_why_not(monkeypatch, tmp_path):
    tool = write_supported_models
    configs = [read_config(*name) for name in NAMES]
    configs += [
        StockConfig('mmdet', 'a.py', None, 'FileNotFoundError: /somewhere/else.py'),
        StockConfig('mmseg', 'b.py', None, 'ImportError: please install it'),
        StockConfig(
            'mmpretrain', 'c.py', None, 'RuntimeError: of /a/path:\n two kinds'
        ),
    ]
    monkeypatch.setattr(
        tool,
        'stock_configs',
        lambda package: (c for c in configs if c.package == package),
    )
    page = tmp_path / 'page.md'
    kept = ['--kept', str(tmp_path / 'kept')]
    tool.main(['--out', str(page), *kept])
    whole = page.read_text()
    first, second = whole.split('\n## ')[1:]
    lines = first.splitlines()
    assert lines[0] == 'mmdet and mmseg'
    assert re.match(r'Of the 8 configs of mmdet \S+ and mmseg \S+ 4 have', lines[2])
    assert '| mmdet | ResNet | 3 | 2 | 24\u201164 | 8\u201116 | served |' in lines
    assert '| mmdet | TridentResNet | 1 | 1 | 52 | 13 | served |' in lines
    (refusal,) = [line for line in lines if 'MixVisionTransformer' in line]
    assert refusal.endswith('| 0 | 0 | no site: its norms are LayerNorm |')
    assert '| mmdet | RetinaHead | 2 | 1 | 8 | 0 | served |' in lines
    assert any('| mmdet | Shared2FCBBoxHead |' in line for line in lines)
    assert not any('RoIExtractor' in line for line in lines)
    assert lines[-3:] == [
        '| 1 | there is no backbone in it |',
        '| 1 | it names a file that does not exist |',
        '| 1 | it needs a package that is in neither stack |',
    ]
    assert '| mmpretrain | ResNet | 1 | 1 | 24 | 8 | served |' in second.splitlines()
    assert '| mmpretrain | VGG | 1 | 1 | 13 | 0 | served |' in second.splitlines()
    # A kind with settings of both sorts is counted setting by setting.
    assert re.search(r'Of the 5 configs of mmpretrain \S+ 3 have a .* 1 one\n', second)
    (mixed,) = [line for line in second.splitlines() if '| RepVGG |' in line]
    assert mixed.startswith('| mmpretrain | RepVGG | 2 | 2 | 0\u2011')
    reason = 'none of its modules is a norm of feature maps'
    assert mixed.endswith(f'| served, 1 not: {reason} |')
    assert second.endswith('| 1 | MMEngine does not read it (RuntimeError) |\n')
    configs.remove(read_config(*NAMES[-1]))
    monkeypatch.setattr(stock_sites, 'build_on_meta', pytest.fail)  # all is kept
    tool.main(['--out', str(page), *kept, '--only', 'mmpretrain'])
    again = page.read_text()
    assert again.startswith(whole[: whole.index('\n## mmpretrain')])
    assert '| RepVGG |' in again
    assert '| VGG |' not in again


@pytest.mark.nightly
def test_the_page_is_what_the_tool_writes(repo_root, tmp_path):
    import mmdet
    import mmpretrain

    committed = (repo_root / 'docs/en/supported_models.md').read_text()
    for library in (mmdet, mmpretrain):
        if f'{library.__name__} {library.__version__}' not in committed:
            pytest.skip(f'the page is not about this {library.__name__}')
    page = tmp_path / 'page.md'
    write_supported_models.main(['--out', str(page), '--kept', str(tmp_path)])
    assert page.read_text() == committed
