"""torch's compiler front end is loaded when something asks for it, and whole then."""

import subprocess
import sys

import pytest

BEGIN = """
import sys
from dropblock_mm.starting.late_dynamo import load_dynamo_later
load_dynamo_later()
import torch
def loaded():
    return 'torch._dynamo.eval_frame' in sys.modules
layer = torch.nn.Linear(2, 2)
optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
layer(torch.ones(3, 2)).sum().backward()
before = layer.weight.detach().clone()
optimizer.step()
optimizer.zero_grad()
assert not torch.equal(layer.weight, before)
assert not loaded(), 'an optimizer loaded it'
"""
WAYS = {
    'compiling': """
double = torch.compile(lambda x: x * 2, backend='eager', fullgraph=True)
assert torch.equal(double(torch.ones(2)), torch.full((2,), 2.0))
""",
    'a name in it': """
assert torch._dynamo.config.cache_size_limit > 0
""",
    'a module in it': """
from torch._dynamo.utils import counters
import torch._dynamo.utils, torch._dynamo.backends.debugging
assert sys.modules['torch._dynamo.utils'].counters is counters
assert torch._dynamo.utils is sys.modules['torch._dynamo.utils']
assert torch._dynamo.utils.__spec__.origin.endswith('utils.py')
""",
}
END = """
assert loaded()
assert type(sys.modules['torch._dynamo']).__name__ == 'module'
optimizer.step()
@torch.compile(backend='eager')
def step(x):
    optimizer.zero_grad()
    layer(x).sum().backward()
    optimizer.step()
    return x
step(torch.ones(3, 2))
"""


@pytest.mark.parametrize(
    'way',
    [
        'a module in it',
        pytest.param('compiling', marks=pytest.mark.nightly),
        pytest.param('a name in it', marks=pytest.mark.nightly),
    ],
)
def test_it_is_loaded_when_it_is_needed(way):
    code = BEGIN + WAYS[way] + END
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_one_that_is_loaded_stays():
    import torch._dynamo

    from dropblock_mm.starting.late_dynamo import load_dynamo_later

    found = list(sys.meta_path)
    load_dynamo_later()
    assert sys.modules['torch._dynamo'] is torch._dynamo
    assert sys.meta_path == found
