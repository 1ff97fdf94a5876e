"""With torch alone: no MMEngine, no NumPy, nothing else that is not of Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCKED = (
    *('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'rich', 'numpy', 'PIL'),
    *('matplotlib', 'pycocotools', 'scipy', 'yaml', 'addict', 'yapf', 'termcolor'),
    *('cv2', 'torchvision', 'timm'),
)
HOOKS = ('DropBlockInjectionHook', 'KeepProbScheduleHook')
MODELS = ('AmoebaNet', 'RetinaSegHead')
LAYERS = ('DropBlock2d', 'Dropout', 'SpatialDropout', 'DropPath')

# Finders that find none of these, as if they were not installed; then all that is to be
# seen, in one process: importing torch takes seconds.
CODE = f"""
import importlib.util, json, sys, warnings
warnings.simplefilter('ignore')  # torch says that it goes on without NumPy

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] not in {BLOCKED!r}:
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(f) for f in sys.meta_path if hasattr(f, 'find_spec')]
found = {{'blocked': [n for n in {BLOCKED!r} if not importlib.util.find_spec(n)]}}

import torch, dropblock_mm
from torch import nn

torch.manual_seed(0)
x = torch.ones(2, 8, 32, 32, requires_grad=True)
out = dropblock_mm.drop_block_2d(x, keep_prob=0.5, block_size=3)
out.sum().backward()
found['kept'] = (out > 0).float().mean().item()
found['expected'] = dropblock_mm.expected_keep_rate(
    keep_prob=0.5, block_size=3, feature_size=(32, 32))
found['same mask'] = torch.equal(x.grad > 0, out > 0)

def layers_of(model):
    kinds = dropblock_mm.ScheduledDrop
    return [m for m in model.modules() if isinstance(m, kinds)]

model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
keys = list(model.state_dict())
sites = dropblock_mm.inject_drop_block(
    model, [dict(module='', where='conv', block_size=3)], keep_prob=0.5)
(layer,) = layers_of(model)
found['dropped'] = (model(torch.rand(2, 3, 34, 34)) == 0).float().mean().item()
layer.set_keep_prob(1.0)
found['same keys'] = list(model.state_dict()) == keys
dropblock_mm.detach_drop_block(sites)
found['left'] = len(layers_of(model))
found['layers'] = [getattr(dropblock_mm, n).__name__ for n in {LAYERS!r}]
found['config'] = dropblock_mm.config_path('_base_/dropblock/resnet_c5.py')
for name in {(*HOOKS, *MODELS)!r}:
    try:
        getattr(dropblock_mm, name)
    except ModuleNotFoundError as error:
        found[name] = error.name, type(error).__name__, str(error)
print(json.dumps(found))
"""


def output_of(code, folder):
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What a process with torch alone saw."""
    return output_of(CODE, tmp_path_factory.mktemp('elsewhere'))


def test_there_is_nothing_but_torch(found):
    assert set(found['blocked']) == set(BLOCKED)


def test_the_op_drops_and_has_gradients(found):
    assert found['kept'] == pytest.approx(found['expected'], abs=0.05)
    assert found['same mask']


def test_layers_are_injected_scheduled_and_taken_out(found):
    assert found['layers'] == list(LAYERS)
    assert found['dropped'] > 0.3
    assert found['same keys']
    assert found['left'] == 0


def test_configs_are_found(found):
    assert Path(found['config']).is_file()


@pytest.mark.parametrize('name', HOOKS)
def test_hooks_ask_for_mmengine_by_name(found, name):
    missing, kind, said = found[name]
    assert (missing, kind) == ('mmengine', 'MissingPackageError')
    assert said.startswith(f'dropblock_mm.{name} needs MMEngine, which is not')
    assert 'pip install mmengine, or onedl-mmengine' in said


@pytest.mark.parametrize('name', MODELS)
def test_models_ask_for_what_they_need(found, name):
    assert found[name][2].startswith(f'dropblock_mm.{name} needs MM')


def test_importing_the_package_imports_nothing_heavy(tmp_path):
    code = (
        'import sys; before = set(sys.modules); import dropblock_mm\n'
        'import json; print(json.dumps(sorted(set(sys.modules) - before)))'
    )
    names = output_of(code, tmp_path)
    ours = {n for n in names if n.partition('.')[0] == 'dropblock_mm'}
    assert ours == {'dropblock_mm', 'dropblock_mm.version'}
    tops = {n.partition('.')[0] for n in names} - sys.stdlib_module_names
    assert tops == {'dropblock_mm'}


def test_layers_do_not_import_the_compiler(tmp_path):
    """It takes a second or more, and is asked for by names that look harmless."""
    code = 'import json, sys, dropblock_mm.layers; print(json.dumps(list(sys.modules)))'
    modules = output_of(code, tmp_path)
    assert 'torch.compiler' in modules
    assert 'torch._dynamo' not in modules
