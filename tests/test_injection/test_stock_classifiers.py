"""Backbones of mmpretrain's own configs, really run: a spread, and all."""

import pytest
import torch

from dropblock_mm import inject_drop_block
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.analysis.sites.stock_models import (
    backbones_of,
    builder,
    key_of,
    read_config,
    stock_configs,
    without,
)
from dropblock_mm.injection.walk import walk
from dropblock_mm.testing.served import check_is_served

pytest.importorskip('mmpretrain.models')
SPREAD = {
    'resnet/resnet18_8xb32_in1k.py': 24,
    'resnet/resnet18_8xb16_cifar10.py': 24,
    'mobilenet_v2/mobilenet-v2_8xb32_in1k.py': 62,
}
# They keep their stem in eval mode, also where no stage is frozen.
STEM_IN_EVAL = {'Vig', 'PyramidVig'}


def backbone_of(name):
    stock = read_config('mmpretrain', name)
    assert not stock.problem
    return next(backbones_of(stock.model))[1]


@pytest.mark.parametrize('name', SPREAD)
def test_a_stock_backbone_is_served(name):
    torch.manual_seed(0)
    model = builder('mmpretrain', backbone_of(name))()
    sites, _ = check_is_served(model, torch.randn(2, 3, 64, 64))
    assert len(sites) == SPREAD[name]


@pytest.fixture
def nothing_masked(monkeypatch):
    """SparK's backbones need to know which parts of the images are masked."""
    from mmpretrain.models.utils.sparse_modules import SparseHelper

    monkeypatch.setattr(SparseHelper, '_cur_active', torch.ones(2, 1, 7, 7))


def trained_whole(build, kind):
    """Build a model, of which the stem is trained too."""
    model = build()
    if kind in STEM_IN_EVAL:
        model._freeze_stages = lambda: None
    return model


@pytest.mark.parametrize(
    'name', ['barlowtwins/benchmarks/resnet50_8xb32-linear-coslr-100e_in1k.py']
)
def test_a_backbone_that_is_frozen_as_a_whole(name):
    """A head alone is trained on it; nothing is dropped, and nothing fails."""
    model = builder('mmpretrain', without(backbone_of(name)))()
    sites, _ = check_is_served(model, torch.randn(2, 3, 64, 64))
    assert sites
    assert all(site.frozen for site in sites)


@pytest.mark.parametrize('name', ['vig/vig-tiny_8xb128_in1k.py'])
def test_a_stem_in_eval_mode_drops_nothing(name):
    """mmpretrain's own, whatever frozen_stages is; the log shows that it is idle."""
    model = builder('mmpretrain', backbone_of(name))()
    assert model.frozen_stages == 0
    sites = inject_drop_block(model, [dict(module='')], keep_prob=0.9)
    model.train()
    assert [s.module for s in sites if not s.layer.training] == [
        f'stem.{i}' for i in (0, 3, 6, 9, 12)
    ]


@pytest.mark.nightly
def test_every_stock_backbone_with_sites_is_served(nothing_masked):
    found, problems, served = {}, [], 0
    for stock in stock_configs('mmpretrain'):
        for _, config in backbones_of(stock.model or {}):
            config = without(config)
            found.setdefault(key_of(config), (stock.name, config))
    for name, config in found.values():
        build = builder('mmpretrain', config)
        try:
            if not any(p.kind != 'branch' for _, p in walk(build_on_meta(build))):
                continue
        except Exception:  # says docs/en/supported_models.md, with the reason
            continue
        try:
            torch.manual_seed(0)
            # Some stages end with windows or kernels that need large maps.
            model = trained_whole(build, config['type'])
            check_is_served(model, torch.randn(2, 3, 224, 224))
            served += 1
        except Exception as error:
            problems.append(f'{name}: {type(error).__name__}: {error}')
    assert not problems, '\n'.join(problems)
    assert served > 30
