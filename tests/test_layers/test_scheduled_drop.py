"""What every layer has in common: arguments, counts, compilation, checkpointing."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.utils.checkpoint import checkpoint

from dropblock_mm import DropBlock2d, DropPath
from dropblock_mm.errors import RefusedTypeError, RefusedValueError
from dropblock_mm.layers import LAYERS, ScheduledDrop


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# ---- arguments


@pytest.mark.parametrize('name', ['drop_prob', 'p', 'rate', 'drop_rate'])
def test_a_drop_rate_by_name_is_answered_with_keep_prob(name, layer_class):
    with pytest.raises(
        RefusedTypeError, match=rf'{name}.*keep_prob = 1 - {name}: give keep_prob=0\.9'
    ):
        layer_class(**{name: 0.1})


def test_a_rate_by_position_is_answered_with_both_readings(layer_class):
    name = layer_class.__name__
    with pytest.raises(RefusedTypeError) as caught:
        layer_class(0.1)
    assert f'{name}(keep_prob=0.9' in str(caught.value)
    assert f'{name}(keep_prob=0.1' in str(caught.value)


def test_a_rate_and_a_block_by_position():
    with pytest.raises(
        RefusedTypeError, match=r'DropBlock2d\(keep_prob=0\.9, block_size=7\)'
    ):
        DropBlock2d(0.1, 7)


def test_a_mistyped_argument_is_answered_with_the_closest(build):
    with pytest.raises(RefusedTypeError, match="Did you mean 'in_channels'"):
        build(0.9, in_chanels=3)


def test_openmmlabs_plugin_builder_may_say_how_many_channels(build):
    assert build(0.9, in_channels=3).final_keep_prob == 0.9


@pytest.mark.parametrize('name', ['drop_prob', 'p', 'rate', 'drop_rate'])
def test_an_assigned_drop_rate_is_answered_with_set_keep_prob(name, build, x):
    layer = build(1.0)
    with pytest.raises(RefusedTypeError, match=r'set_keep_prob.*keep_prob=0\.7'):
        setattr(layer, name, 0.3)
    assert torch.equal(layer(x), x)


@pytest.mark.parametrize('value', [0.5, 1, None])
def test_an_assigned_keep_prob_is_answered_with_set_keep_prob(value, build):
    with pytest.raises(RefusedTypeError, match=rf'Call set_keep_prob\({value}\)'):
        build(1.0).keep_prob = value


@pytest.mark.parametrize('value', [-0.1, 1.1, float('nan')])
def test_a_rate_outside_its_range_is_refused_and_changes_nothing(value, build):
    layer = build(0.7)
    with pytest.raises(RefusedValueError, match='keep_prob'):
        layer.set_keep_prob(value)
    with pytest.raises(RefusedValueError, match='keep_prob'):
        build(value)
    assert layer.keep_prob.item() == pytest.approx(0.7)


# ---- what a layer does


def test_is_the_identity_in_eval_and_where_everything_is_kept(build, x):
    assert build(0.5).eval()(x) is x
    assert torch.equal(build(1.0)(x), x)
    assert torch.equal(build(None)(x), x)


def test_keeps_the_share_that_it_expects(build, x):
    for scale in (0.5, 1.0):
        layer = build(0.8)
        layer.drop_scale = scale
        for _ in range(300):
            layer(x)
        expected = layer.expected_keep_rate(0.8, tuple(x.shape[2:]))
        kept = layer.kept_units.item() / layer.seen_units.item()
        assert kept == pytest.approx(expected, abs=0.01)


def test_writes_nothing_into_its_input_and_returns_fresh_memory(build, x):
    before = x.clone()
    out = build(0.5)(x)
    out.add_(1.0)
    assert torch.equal(x, before)


def test_backward_passes_what_forward_kept(build, x):
    leaf = x.clone().requires_grad_()
    out = build(0.5)(leaf)
    out.sum().backward()
    torch.testing.assert_close(out, x * leaf.grad)
    assert (leaf.grad == 0).any()


def test_adds_nothing_to_a_state_dict(build):
    assert not build(0.5).state_dict()
    assert not [*build(0.5).parameters()]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_keeps_the_dtype(dtype, build, x):
    layer = build(0.5)
    out = layer(x.to(dtype))
    assert out.dtype == dtype
    assert layer.kept_units.item() == (out != 0).sum().item()


@pytest.mark.parametrize('dtype', [torch.int64, torch.bool, torch.complex64])
def test_what_has_no_floating_dtype_is_refused(dtype, build, x):
    with pytest.raises(TypeError, match=f'{dtype}.* needs a floating dtype'):
        build(0.5)(x.to(dtype))


@pytest.mark.parametrize('kind', [tuple, list, lambda many: dict(enumerate(many))])
def test_what_is_no_tensor_is_refused(kind, build, x):
    with pytest.raises(TypeError, match=r'was given .* one tensor'):
        build(0.5)(kind([x, x]))


def test_autocast_keeps_the_dtype_it_gets(build, x):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        hidden = nn.Linear(x.shape[-1], 8)(x)
        assert build(0.5)(hidden).dtype == hidden.dtype == torch.bfloat16


def test_an_empty_batch_is_no_error(build, x):
    layer = build(0.5)
    assert layer(x[:0]).shape == x[:0].shape
    assert layer.seen_units.item() == layer.kept_units.item() == 0


@pytest.mark.parametrize('use_reentrant', [False, True])
def test_checkpointing_repeats_the_mask_and_counts_once(use_reentrant, build, x):
    layer = build(0.5)
    for step in range(5):
        layer.set_keep_prob(0.9 - 0.1 * step)
        layer.reset_count()
        leaf = x.clone().requires_grad_()
        out = checkpoint(
            lambda x: layer(x * 1.0).sin(), leaf, use_reentrant=use_reentrant
        )
        out.sum().backward()
        assert torch.equal(leaf.grad == 0, out == 0)
        assert layer.seen_units.item() == x.numel()
        assert layer.kept_units.item() == (out != 0).sum().item()


def test_one_graph_while_keep_prob_changes_20_times(build, x):
    torch.compiler.reset()
    layer, counter = build(1.0), CompileCounter()
    compiled = torch.compile(layer, backend=counter, fullgraph=True)
    for step in range(20):
        layer.set_keep_prob(1.0 - step / 40)
        layer.reset_count()
        out = compiled(x)
        assert layer.kept_units.item() == (out != 0).sum().item()
        assert layer.seen_units.item() == x.numel()
    assert counter.frame_count == 1
    assert (out == 0).any()


def test_compiled_forward_and_backward_share_a_mask(build, x):
    torch.compiler.reset()
    layer = build(0.5)
    compiled = torch.compile(lambda x: layer(x * 2), backend='aot_eager')
    leaf = x.clone().requires_grad_()
    out = compiled(leaf)
    out.sum().backward()
    torch.testing.assert_close(out, x * leaf.grad)


def is_ours(layer):
    return layer.__module__.startswith('dropblock_mm.')


def test_torch_alone_is_enough():
    """In a process without MMEngine; the compiler, slow to import, stays out too."""
    code = (
        'import sys; sys.modules["mmengine"] = None; import torch\n'
        'torch_has_it = "torch._dynamo" in sys.modules\n'
        'from dropblock_mm import KeepProbSchedule\n'
        'from dropblock_mm.layers import '
        + ', '.join(name for name, layer in LAYERS.items() if is_ours(layer))
        + '\nassert "rich" not in sys.modules'
        '\nassert "torch._dynamo" not in sys.modules or torch_has_it'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


# ---- a layer of one's own


def test_a_new_layer_is_known_by_its_name_and_keeps_the_word_of_the_base():
    class Half(ScheduledDrop):
        def drop(self, x, keep_prob):
            kept = torch.rand(x.shape[0]) < keep_prob
            shape = [-1] + [1] * (x.dim() - 1)
            return x * kept.view(shape), kept.sum() * (x.numel() // len(x))

    try:
        assert LAYERS['Half'] is Half
        layer = Half(keep_prob=0.5)
        x = torch.ones(64, 2)
        out = layer(x)
        assert layer.kept_units.item() == out.sum().item()
        assert 0 < layer.kept_units < layer.seen_units
        assert repr(layer) == 'Half(keep_prob=0.5)'
        with pytest.raises(RefusedTypeError, match=r'keep_prob=0\.9'):
            Half(drop_prob=0.1)
        with pytest.raises(NotImplementedError, match='Half implements no expected'):
            layer.expected_keep_rate(0.5, (2,))
    finally:
        del LAYERS['Half']


def test_a_constructor_of_ones_own_answers_as_ours_do():
    class _Bands(ScheduledDrop):
        def __init__(self, *, keep_prob, height=2):
            super().__init__(keep_prob=keep_prob)
            self.height = height

    class _Open(ScheduledDrop):
        def __init__(self, *args, **options):
            super().__init__(**options)
            self.args = args

    with pytest.raises(RefusedTypeError, match=r'give keep_prob=0\.9'):
        _Bands(drop_prob=0.1)
    with pytest.raises(RefusedTypeError, match=r'_Bands\(keep_prob=0\.9\)'):
        _Bands(0.1)
    with pytest.raises(RefusedTypeError, match="Did you mean 'height'"):
        _Bands(keep_prob=0.9, heigth=3)
    assert _Bands(keep_prob=0.9, height=3).height == 3
    assert _Open(5, keep_prob=0.9).args == (5,)  # takes what it likes


def test_the_name_of_one_of_ours_cannot_be_taken():
    with pytest.raises(RefusedValueError, match="'DropPath' is the name of a layer"):
        type('DropPath', (ScheduledDrop,), {'__module__': 'elsewhere'})
    assert LAYERS['DropPath'] is DropPath


def test_what_is_not_public_is_no_layer_for_targets():
    type('_Base', (ScheduledDrop,), {})
    assert '_Base' not in LAYERS
    assert '_DropBlock' not in LAYERS


def test_a_layer_that_implements_nothing_says_so():
    with pytest.raises(NotImplementedError, match=r'ScheduledDrop implements no drop'):
        ScheduledDrop(keep_prob=0.5)(torch.ones(2, 2))
