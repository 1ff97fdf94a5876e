"""What holds for DropBlock under the hooks holds for every regulariser."""

import copy
import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from dropblock_mm import ScheduledDrop, inject
from dropblock_mm.testing.distributed import RankedRun
from dropblock_mm.testing.toy import toy_classifier, toy_runner

LAYERS = {
    'DropBlock2d': dict(block_size=1),
    'Dropout': {},
    'SpatialDropout': {},
    'DropPath': {},
}
# Shares of kept units have this many draws at least, so they vary that much.
ABS = {'DropBlock2d': 0.1, 'Dropout': 0.1, 'SpatialDropout': 0.15, 'DropPath': 0.35}


@pytest.fixture(params=LAYERS)
def layer(request):
    return request.param


def hooks_for(layer, keep_prob=0.5, module='backbone.layer[1-4]', **options):
    return [
        dict(
            type='dropblock_mm.InjectionHook',
            layer=layer,
            targets=[dict(module=module)],
            **LAYERS[layer],
            **options,
        ),
        dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=keep_prob),
    ]


def layers_of(model):
    return [module for module in model.modules() if isinstance(module, ScheduledDrop)]


def logged(runner):
    path = Path(runner.log_dir, 'vis_data', 'scalars.json')
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_its_rate_follows_the_schedule_and_is_logged(tmp_path, layer):
    runner = toy_runner(tmp_path, hooks_for(layer), batch_size=8)
    runner.train()
    rows = logged(runner)
    steps = len(rows)
    assert rows[0]['effective_keep_rate'] == 1.0
    assert [row['keep_prob'] for row in rows] == pytest.approx(
        [1 - 0.5 * i / (steps - 1) for i in range(steps)]
    )
    assert rows[-1]['effective_keep_rate'] == pytest.approx(0.5, abs=ABS[layer])
    assert {type(module).__name__ for module in layers_of(runner.model)} == {layer}


def test_ema_copies_hold_the_right_buffers(tmp_path, layer):
    runner = toy_runner(tmp_path, [dict(type='EMAHook'), *hooks_for(layer)])
    runner.train()
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    source, average = runner.model, hook.ema_model.module
    ours, theirs = dict(source.named_buffers()), dict(average.named_buffers())
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert len(layers_of(average)) == len(layers_of(source)) > 0
    assert not set(layers_of(average)) & set(layers_of(source))


def test_recomputed_stages_draw_and_count_once(tmp_path, layer):
    """Losses of a run with recomputation are those of one without."""
    recompute = dict(
        type='dropblock_mm.ActivationCheckpointingHook', modules=['backbone.layer4']
    )
    runs = []
    for hooks in ([], [recompute]):
        torch.manual_seed(0)  # for the weights
        hooks += hooks_for(layer, module='backbone.layer4')
        runner = toy_runner(
            tmp_path / f'{len(hooks)}', hooks, randomness=dict(seed=0), batch_size=4
        )
        runner.train()
        runs.append(logged(runner))
    plain, recomputed = runs
    losses = [row['loss'] for row in recomputed]
    assert losses == pytest.approx([row['loss'] for row in plain], rel=1e-4)
    kept = [row['effective_keep_rate'] for row in recomputed]
    assert kept == [row['effective_keep_rate'] for row in plain]
    assert min(kept) < 1


def test_checkpoints_and_evaluation_are_those_of_the_plain_model(tmp_path, layer):
    torch.manual_seed(0)
    model = toy_classifier()
    plain = copy.deepcopy(model)
    runner = toy_runner(tmp_path, hooks_for(layer), model=model)
    runner.train()
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['state_dict']
    assert list(saved) == list(plain.state_dict())
    plain.load_state_dict(saved)
    image = torch.randn(2, 3, 32, 32)
    model.eval(), plain.eval()
    assert torch.equal(model(image), plain(image))


def test_autocast_drops_in_half_precision(layer):
    torch.manual_seed(0)
    model, images = toy_classifier().train(), torch.randn(4, 3, 32, 32)
    target = dict(module='backbone.layer[34]')
    sites = inject(model, [target], layer=layer, keep_prob=0.3, **LAYERS[layer])
    seen = []
    for site in sites:
        site.layer.register_forward_hook(lambda m, inputs, out: seen.append(out.dtype))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = model(images, torch.tensor([0, 1, 0, 1]), mode='loss')['loss']
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.bfloat16 in seen
    kept = sum(int(site.layer.kept_units) for site in sites)
    units = sum(int(site.layer.seen_units) for site in sites)
    assert kept / units == pytest.approx(0.3, abs=ABS[layer])
    assert {site.layer.keep_prob.dtype for site in sites} == {torch.float32}


@pytest.mark.skipif(not dist.is_gloo_available(), reason='torch was built without gloo')
def test_ranks_draw_for_themselves_and_agree_on_weights(tmp_path):
    """All four at once: DistributedDataParallel has no work with each alone."""
    hooks = [
        dict(
            type='dropblock_mm.InjectionHook',
            targets=[
                dict(module=f'backbone.layer{stage}', layer=layer, **options)
                for stage, (layer, options) in enumerate(LAYERS.items(), 1)
            ],
        ),
        dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.3),
    ]
    first, second = RankedRun(tmp_path, hooks, iterations=6).train()
    assert first['kept'][0] == second['kept'][0]  # keep_prob is 1
    assert first['kept'][1:] != second['kept'][1:]
    for name, weights in first['weights'].items():
        assert torch.equal(weights, second['weights'][name]), name


def test_a_rate_that_grows_with_depth_is_what_is_kept(tmp_path):
    runner = toy_runner(
        tmp_path,
        [
            dict(
                type='dropblock_mm.InjectionHook',
                layer='Dropout',
                keep_prob=0.2,
                targets=[dict(module='backbone', grows_with_depth=True)],
            )
        ],
    )
    kept = {}

    def note(runner, *args, **kwargs):
        for layer in layers_of(runner.model):
            counts = kept.setdefault(layer, [0, 0])
            counts[0] += int(layer.kept_units)
            counts[1] += int(layer.seen_units)

    hook = Hook()
    hook.priority, hook.after_train_iter = 'HIGHEST', note
    runner.register_hook(hook)
    runner.train()
    rates = [kept[0] / kept[1] for kept in kept.values()][::2]
    wanted = [1 - 0.8 * i / 8 for i in range(1, 9)]
    assert rates == pytest.approx(wanted, abs=0.06)


OWN_LAYER = '''
import torch
from dropblock_mm import ScheduledDrop


class RowDropout(ScheduledDrop):
    """Drops whole rows of feature maps."""

    def drop(self, x, keep_prob):
        rate = self.drop_scale * (1 - keep_prob)
        kept = torch.rand(*x.shape[:3], 1, device=x.device) >= rate
        return x * kept / (1 - rate).clamp(min=1e-6), kept.sum() * x.shape[3]

    def expected_keep_rate(self, keep_prob, size):
        return 1 - self.drop_scale * (1 - keep_prob)
'''
OWN_CONFIG = """
custom_imports = dict(imports=['{module}'])
custom_hooks = [
    dict(
        type='dropblock_mm.InjectionHook',
        layer='RowDropout',
        targets=[dict(module='backbone.layer[1-4]', drop_scale=0.5)],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.4),
]
"""


@pytest.fixture
def own_layer(tmp_path, monkeypatch):
    """A module of a user's, which registers its layer where it is imported."""
    name = f'own_layer_{tmp_path.name}'.replace('-', '_')
    (tmp_path / f'{name}.py').write_text(OWN_LAYER)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_layer_of_ones_own_is_injected_by_name(tmp_path, toy_config, own_layer):
    text = Path(toy_config).read_text() + OWN_CONFIG.format(module=own_layer)
    Path(toy_config).write_text(text)
    cfg = Config.fromfile(toy_config)
    cfg.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    runner.train()
    rows = logged(runner)
    assert {type(m).__name__ for m in layers_of(runner.model)} == {'RowDropout'}
    assert len(layers_of(runner.model)) == 16
    assert rows[0]['effective_keep_rate'] == 1.0
    assert rows[-1]['effective_keep_rate'] == pytest.approx(0.7, abs=0.1)
    assert 'target_keep_rate.backbone.layer_1-4' in rows[-1]
