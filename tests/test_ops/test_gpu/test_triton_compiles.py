"""The kernels compiled for GPUs, with or without one."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec('triton') is None:
    pytest.skip('needs triton', allow_module_level=True)

import triton

# Compiles what a call would launch, and prints what each kernel takes, as JSON.
COMPILE = """
import json, re, subprocess, sys
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dropblock_mm.ops.gpu import kernels


class Recorder:
    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        return self.record

    def record(self, *args, num_warps=4, **constants):
        names = self.kernel.arg_names
        self.constants = {(names.index(k),): v for k, v in constants.items()}
        self.signature = {name: 'constexpr' for name in names}
        self.attributes, self.options = {}, dict(num_warps=num_warps)
        for index, (param, arg) in enumerate(zip(self.kernel.params, args)):
            self.add(index, param, arg)

    def add(self, index, param, arg):
        divisible = [['tt.divisibility', 16]]
        if isinstance(arg, torch.Tensor):
            self.signature[param.name] = triton.runtime.jit.mangle_type(arg)
            self.attributes[index,] = divisible
        elif arg is None or (arg == 1 and not param.do_not_specialize):
            self.constants[index,] = arg
        else:
            self.signature[param.name] = 'i32'
            if arg % 16 == 0 and not param.do_not_specialize:
                self.attributes[index,] = divisible

    def compile(self, capability):
        source = ASTSource(self.kernel, self.signature, self.constants, self.attributes)
        target = GPUTarget('cuda', capability, 32)
        return triton.compile(source, target=target, options=self.options)


def measure(kernel, folder):
    file = Path(folder) / 'kernel.cubin'
    file.write_bytes(kernel.asm['cubin'])
    tool = Path(triton.__file__).parent / 'backends/nvidia/bin/cuobjdump'
    command = [str(tool), '--dump-resource-usage', str(file)]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r'(REG|STACK):([0-9]+)', usage))
    loads = re.findall(r'ld[.]global[^ ;]*', kernel.asm['ptx'])
    return dict(registers=int(found['REG']), stack=int(found['STACK']), loads=loads)


def found_for(dtype, layout, folder):
    x = torch.empty(2, 1024, 40, 40, dtype=getattr(torch, dtype))
    x = x.contiguous(memory_format=getattr(torch, layout))
    gamma, key, block = torch.tensor(0.1), torch.tensor(1), (7, 7)
    kept = kernels.count_kept(gamma, key, x.shape, block)
    kernels.scale_and_drop(x, gamma, key, kept, x.shape, block)
    return {
        f'{name} {capability}': measure(recorder.compile(capability), folder)
        for capability in (80, 90)
        for name, recorder in dict(apply=apply, count=count).items()
    }


apply = kernels._apply_kernel = Recorder(kernels._apply_kernel)
count = kernels._count_kernel = Recorder(kernels._count_kernel)
folder, *cases = sys.argv[1:]
print(json.dumps({case: found_for(*case.split(), folder) for case in cases}))
"""
CASES = [
    f'{dtype} {layout}'
    for dtype in ('float32', 'bfloat16', 'float16')
    for layout in ('contiguous_format', 'channels_last')
]


@pytest.fixture(scope='module')
def compiled(tmp_path_factory):
    """What the kernels take on GPUs of two generations, by case."""
    tools = Path(triton.__file__).parent / 'backends' / 'nvidia' / 'bin'
    if not (tools / 'ptxas').exists():
        pytest.skip(f'no ptxas in {tools}')
    folder = tmp_path_factory.mktemp('compiled')
    environment = {k: v for k, v in os.environ.items() if k != 'TRITON_INTERPRET'}
    done = subprocess.run(
        [sys.executable, '-c', COMPILE, str(folder), *CASES],
        env=environment | dict(TRITON_CACHE_DIR=str(folder / 'cache')),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize('case', CASES)
def test_compiles_for_gpus(compiled, case):
    """Without a GPU: to machine code that fits in registers and loads 16 bytes."""
    assert set(compiled[case]) == {'apply 80', 'apply 90', 'count 80', 'count 90'}
    for name, found in compiled[case].items():
        assert found['registers'] <= 168, name  # three programs on a multiprocessor
        assert found['stack'] <= 8, name  # next to nothing is spilled
        if name.startswith('apply'):
            assert any('.v4.b32' in load for load in found['loads']), found['loads']
