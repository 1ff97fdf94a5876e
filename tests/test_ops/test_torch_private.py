"""What is asked of torch's private names, and what happens without them."""

import ast
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental import proxy_tensor
from torch.utils import _python_dispatch
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import dropblock_mm
from dropblock_mm import drop_block_2d
from dropblock_mm.ops import torch_private

PACKAGE = Path(dropblock_mm.__file__).parent
FILES = [f for f in sorted(PACKAGE.rglob('*.py')) if f.name != 'torch_private.py']


def dotted(node):
    """'torch._C._functorch' for the expression that says so, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and dotted(node.value):
        return f'{dotted(node.value)}.{node.attr}'
    return ''


def torch_names(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute):
            yield dotted(node)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def is_private(name):
    first, *rest = name.split('.')
    return first == 'torch' and any(
        part.startswith('_') and not part.startswith('__') for part in rest
    )


@pytest.mark.parametrize('file', FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_only_one_file_names_what_is_private_in_torch(file):
    assert not [name for name in torch_names(file) if is_private(name)]


def test_that_file_is_seen_to_name_them():
    names = set(torch_names(PACKAGE / 'ops' / 'torch_private.py'))
    assert any(is_private(name) for name in names)
    assert not is_private('torch.__version__')


# ---- what they tell


def recomputations(use_reentrant):
    told = []

    def function(x):
        told.append(torch_private.is_recomputing())
        return x.sin()

    x = torch.ones(3, requires_grad=True)
    checkpoint(function, x, use_reentrant=use_reentrant).sum().backward()
    return told


@pytest.mark.parametrize('use_reentrant', [False, True])
def test_a_forward_pass_within_backward_is_told(use_reentrant):
    assert recomputations(use_reentrant) == [False, True]


def test_transformed_tensors_are_told():
    told = []

    def function(x):
        told.append(torch_private.is_transformed(x, 0.5, None))
        return x.sum()

    x = torch.ones(3)
    function(x)
    function(torch.ones(3, requires_grad=True))
    for transform in (torch.func.grad, torch.func.vmap, torch.func.jacfwd):
        transform(function)(x)
    with forward_ad.dual_level():
        function(forward_ad.make_dual(x, x))
        function(x)
    assert told == [False, False, True, True, True, True, False]


def test_what_has_no_memory_is_told(monkeypatch):
    told = []
    x = torch.ones(3, requires_grad=True)
    out = x * 2
    out.register_hook(lambda grad: told.append(torch_private.has_memory(grad)))
    out.sum().backward(retain_graph=True)
    torch.autograd.grad(out, x, torch.eye(3), is_grads_batched=True)
    assert told == [True, False]


def test_one_of_several_tensors_is_enough():
    told = []
    x = torch.ones(3)
    torch.func.vmap(lambda y: (told.append(torch_private.is_transformed(x, y)), y)[1])(
        x
    )
    assert told == [True]


def test_recording_is_told():
    told = [torch_private.is_recorded()]

    def function(x):
        told.append(torch_private.is_recorded())
        return x.sin()

    for before_dispatch in (False, True):
        proxy_tensor.make_fx(function, pre_dispatch=before_dispatch)(torch.ones(3))
    with FakeTensorMode():
        function(torch.ones(3))
    assert told == [False, True, True, False]


def test_nothing_ordinary_goes_on_while_anything_follows():
    told = []

    def function(x):
        told.append(torch_private.is_ordinary())
        return x.sin()

    x = torch.ones(3)
    function(x)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # tracing is deprecated
        torch.jit.trace(function, x, check_trace=False)
    torch.func.vmap(function)(x)
    for before_dispatch in (False, True):
        proxy_tensor.make_fx(function, pre_dispatch=before_dispatch)(x)
    with forward_ad.dual_level():
        function(x)
    with FlopCounterMode(display=False):  # which only counts
        function(x)
    function(x)
    assert told == [True, *[False] * 5, True, True]


def test_without_a_name_training_is_still_ordinary(monkeypatch):
    assert torch_private.is_quiet()
    monkeypatch.delattr(torch._C, '_len_torch_dispatch_stack')
    is_quiet = torch_private._make_quiet_question()  # as when it is imported
    assert not is_quiet()
    monkeypatch.setattr(torch_private, 'is_quiet', is_quiet)
    assert torch_private.is_ordinary()


def test_modes_are_left():
    with FakeTensorMode(), torch_private.without_modes():
        assert type(torch.ones(3)) is torch.Tensor


# ---- without them


def test_without_the_name_no_pass_is_a_recomputation(monkeypatch):
    monkeypatch.setattr(torch_private, '_running', None)  # as when it is imported
    assert recomputations(use_reentrant=True) == [False, False]


def test_without_the_names_torch_itself_refuses_transformed_tensors(monkeypatch):
    x = torch.ones(1, 1, 8, 8)
    monkeypatch.delattr(torch._C._functorch, 'is_functorch_wrapped_tensor')
    monkeypatch.delattr(torch._C._functorch, 'maybe_current_level')
    assert not torch_private.is_transformed(x)
    assert not torch_private.is_transforming()
    assert drop_block_2d(x, keep_prob=0.5, block_size=3).shape == x.shape
    with pytest.raises(RuntimeError, match=r'data pointer|would mutate a captured'):
        torch.func.grad(lambda x: drop_block_2d(x, keep_prob=0.5, block_size=3).sum())(
            x
        )


def test_without_the_names_each_transformation_may_be_a_vmap(monkeypatch):
    assert torch_private.is_differentiating()
    monkeypatch.delattr(torch._C._functorch, 'get_interpreter_stack')
    assert not torch_private.is_differentiating()
    x = torch.ones(1, 1, 8, 8)
    torch.func.grad(lambda x: drop_block_2d(x, keep_prob=0.5, block_size=3).sum())(x)


def test_without_the_name_each_tensor_may_have_a_tangent(monkeypatch):
    assert not torch_private.has_dual_tensors()
    monkeypatch.delattr(torch_private.forward_ad, '_current_level')
    assert torch_private.has_dual_tensors()


def test_without_the_recorder_nothing_is_recorded(monkeypatch):
    monkeypatch.delattr(proxy_tensor, 'get_proxy_mode')
    assert not torch_private.is_recorded()
    monkeypatch.delitem(torch_private.sys.modules, 'torch.fx.experimental.proxy_tensor')
    assert not torch_private.is_recorded()


def test_without_the_name_modes_stay(monkeypatch):
    monkeypatch.delattr(_python_dispatch, '_disable_current_modes')
    with FakeTensorMode(), torch_private.without_modes():
        assert type(torch.ones(3)) is not torch.Tensor


def test_constants_for_compilers_are_those_of_the_public_name():
    def ours():
        return 1

    def theirs():
        return 1

    torch.compiler.assume_constant_result(theirs)
    assert vars(torch_private.constant_for_compilers(ours)) == vars(theirs)
    assert vars(theirs)


def test_unwrapped_gives_samples_their_axis_back():
    seen = []

    def look(x):
        seen.append(tuple(torch_private.unwrapped(x).shape))
        return x

    torch.func.vmap(torch.func.vmap(look))(torch.ones(2, 3, 4))
    torch.func.grad(lambda x: look(x).sum())(torch.ones(5))
    assert seen == [(2, 3, 4), (5,)]
    assert torch_private.unwrapped(3) == 3


def test_unwrapped_without_the_private_name_is_the_tensor(monkeypatch):
    monkeypatch.delattr(torch._C, '_functorch')
    x = torch.ones(2)
    assert torch_private.unwrapped(x) is x


def test_beneath_transforms_a_tensor_from_outside_can_be_changed(monkeypatch):
    count = torch.zeros(())

    def add(x):
        with torch_private.beneath_transforms():
            count.add_(1)
        return x.sum()

    torch.func.grad(add)(torch.ones(2))
    assert count.item() == 1
    monkeypatch.setitem(sys.modules, 'torch._functorch.pyfunctorch', None)
    with pytest.raises(RuntimeError, match='mutate'):
        torch.func.grad(add)(torch.ones(2))


# ---- modules


class Told(torch_private.ToldOfConversion):
    """Notes what it is told."""

    def __init__(self):
        super().__init__()
        self.register_buffer('rate', torch.tensor(0.9), persistent=False)
        self.told = []

    def converted(self, before):
        self.told.append((before['rate'].dtype, self.rate.dtype))


def test_a_part_is_told_of_its_parents_conversions():
    part = Told()
    parent = torch.nn.Sequential(torch.nn.Sequential(part))
    parent.half()
    parent.to(torch.float64)
    parent.to_empty(device='cpu')
    half, single, double = torch.float16, torch.float32, torch.float64
    assert part.told == [(single, half), (half, double), (double, double)]


def test_buffers_are_found_with_and_without_the_private_name():
    part = torch.nn.Module()
    part.register_buffer('rate', torch.tensor(0.9))
    part.inner = torch.nn.BatchNorm2d(2)
    assert torch_private.buffers_of(part)['rate'] is part.rate
    collected = torch_private._collect_buffers(part)
    assert collected.keys() == {'rate'}
    assert collected['rate'] is part.rate


def own_names(file):
    """Names that a file asks of objects, or gives to methods."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ClassDef):
            yield from (part.name for part in node.body if hasattr(part, 'name'))


def test_no_other_file_uses_what_is_private_in_a_module():
    module = torch.nn.Module()
    private = {n for n in [*dir(module), *vars(module)] if n[0] == '_' != n[1]}
    found = {str(f): private.intersection(own_names(f)) for f in FILES}
    assert not {file: names for file, names in found.items() if names}
    assert '_apply' in private.intersection(own_names(Path(torch_private.__file__)))
