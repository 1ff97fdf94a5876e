"""Models evaluated with DropBlock left on: what drops, what does not, what is told."""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from dropblock_mm.analysis import robustness
from dropblock_mm.analysis.figures.robustness import draw_robustness
from dropblock_mm.analysis.robustness import dropping, evaluate_points, targets_of
from dropblock_mm.analysis.robustness_points import Grid, Point, curves_of
from dropblock_mm.analysis.trained.models import (
    build_test_loader,
    model_files,
    open_model,
)
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.hooks.rate_hooks import scheduled_layers


@pytest.fixture(scope='module')
def classifier(small_run):
    return open_model(model_files([str(small_run('mmpretrain'))]), {})


def test_where_nobody_says_it_is_the_papers_sites(classifier):
    targets = targets_of([classifier.cfg], None, classifier.model)
    assert [t.module for t in targets] == ['backbone.layer3', 'backbone.layer4']
    assert targets[0].options['gamma_scale'] == 0.25


def test_a_config_or_a_fragment_says_where(classifier):
    hook = {
        'type': 'dropblock_mm.DropBlockInjectionHook',
        'targets': [{'module': 'backbone.layer1'}],
    }
    cfg = classifier.cfg.copy()
    cfg.custom_hooks = [{'type': 'EMAHook'}, hook]
    targets = targets_of([classifier.cfg, cfg], None, classifier.model)
    assert [t.module for t in targets] == ['backbone.layer1']
    targets = targets_of([cfg], 'resnet_c5', classifier.model)
    assert [t.module for t in targets] == ['backbone.layer4']
    with pytest.raises(RefusedValueError, match='injects no DropBlock'):
        targets_of([cfg], 'resnet_c4c5_dropout', classifier.model)


def test_auto_is_where_it_was_trained(classifier):
    cfg = classifier.cfg.copy()
    hook = {'type': 'dropblock_mm.DropBlockInjectionHook', 'targets': 'auto'}
    cfg.custom_hooks = [hook]
    for cfgs, fragment in (([cfg], None), ([classifier.cfg], 'auto')):
        targets = targets_of(cfgs, fragment, classifier.model)
        assert [t.module for t in targets] == ['backbone.layer3', 'backbone.layer4']


def test_blocks_are_dropped_and_norms_are_not_trained(classifier):
    model = classifier.model
    x = torch.randn(2, 3, 64, 64)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        plain = model.backbone(x)[-1]
        with dropping(
            classifier, targets_of([classifier.cfg], None, classifier.model), 2, 0.6
        ):
            layers = scheduled_layers(model)
            assert layers
            assert all(layer.training for layer in layers)
            norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
            assert not any(norm.training for norm in norms)
            torch.manual_seed(0)
            dropped = model.backbone(x)[-1]
            torch.manual_seed(0)
            again = model.backbone(x)[-1]
            kept = sum(int(layer.kept_units) for layer in layers)
            seen = sum(int(layer.seen_units) for layer in layers)
        after = model.backbone(x)[-1]
    assert not torch.equal(plain, dropped)
    assert torch.equal(dropped, again)
    assert 0.5 < kept / seen < 0.95
    assert torch.equal(plain, after)
    assert not scheduled_layers(model)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ('library', 'metric'),
    [
        ('mmpretrain', 'accuracy/top1'),
        ('mmseg', 'mIoU'),
        ('mmdet', 'coco/bbox_mAP'),
    ],
)
def test_every_library_is_evaluated(small_run, library, metric):
    trained = open_model(model_files([str(small_run(library))]), {})
    targets = targets_of([trained.cfg], None, trained.model)
    settings = [(1, 1.0, 0), (2, 0.7, 1)]
    points = list(
        evaluate_points(trained, build_test_loader(trained), targets, settings)
    )
    assert [(p.block_size, p.keep_prob, p.seed) for p in points] == settings
    assert {p.metric for p in points} == {metric}
    assert all(0 <= p.value <= 100 for p in points)


@pytest.mark.parametrize(
    ('metric', 'given', 'told'),
    [('pascal_voc/mAP', 0.25, 25.0), ('coco/bbox_mAP', 0.5, 50.0), ('mIoU', 30, 30.0)],
)
def test_shares_are_told_in_percent(classifier, monkeypatch, metric, given, told):
    class Given:
        def __init__(self, _):
            pass

        def evaluate(self, _):
            return {'seconds': 7.0, metric: given}

    class Nothing(list):
        dataset = ()

    monkeypatch.setattr(robustness, 'Evaluator', Given)
    assert robustness.evaluate(classifier, Nothing()) == (metric, told)


@pytest.mark.parametrize('name', ['m', 'a_model_with_a_name_of_forty_letters_alike'])
def test_twelve_models_are_told_apart_and_named_inside_the_figure(name):
    points = [
        Point(f'{name} {model}', 1, keep_prob, 0, 'acc', 90.0 - model)
        for model in range(12)
        for keep_prob in (0.8, 1.0)
    ]
    grid = Grid((1,), (0.8, 1.0), (0,))
    figure = draw_robustness(curves_of(points, grid), 'acc')
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    lines = [c.lines[0] for c in figure.axes[0].containers]
    assert len({(x.get_color(), x.get_linestyle()) for x in lines}) == 12
