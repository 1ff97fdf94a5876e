"""The loops in C under AddressSanitizer and UndefinedBehaviorSanitizer.

They check every access to memory, which comes in pieces of just the right size. Torch
is not loaded: under the sanitizers that alone would take half a minute.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropblock_mm.ops.cpu import native
from dropblock_mm.ops.plan import BlockGeometry, Way

SOURCE = Path(native.__file__).with_name('native.c')
FLAGS = '-shared -fPIC -O1 -g -fopenmp-simd -fsanitize=address,undefined'
CHILD = """
import ctypes, json, struct, sys
import _native

def memory(size, byte=0):
    block = ctypes.create_string_buffer(max(size, 1))  # of malloc, between red zones
    ctypes.memset(block, byte, size)
    return block

def packed(numbers):
    return struct.pack(f'{len(numbers)}q', *numbers)

def run(case, variant):
    layout, numbers, seeds, size, dtype, steps, factor, divides = case
    _native.use_variant(variant)
    images, channels, units = layout[:3]
    number = images * channels * units
    given = memory(len(seeds))
    ctypes.memmove(given, bytes(seeds), len(seeds))
    x, out, mask = memory(number * size, 1), memory(number * size), memory(number)
    at = ctypes.addressof
    drawn = (packed(layout), *numbers, at(given))
    for use in range(3):  # once; to be kept; what was kept
        for channels_last in range(2):
            dropped = _native.draw(*drawn, at(mask), channels_last, use, 1)
            assert dropped == mask.raw[:number].count(1)
    way, key, share = numbers
    recipe = packed([*layout, way, dtype, *steps * 2, divides])
    recipe += struct.pack('2d', share, factor)
    for streamed in (1 << 40, 0):  # through the caches, and past them
        _native.stream_from(streamed)
        for use in range(3):
            assert dropped == _native.drop(
                recipe, key, at(given), at(out), at(x), use, 1)

cases = json.load(open(sys.argv[1]))
alive, recipe_of = {}, {}  # by handle; by the first side of a block

def hold(thing):
    alive[max(alive, default=0) + 1] = thing
    return max(alive)

def write(kind, at, value):
    kind.from_address(at).value = value
    return 0

def new_tensor(sides, shape, steps, dtype, device, index, result):
    numbers = ctypes.c_int64 * sides
    shape = numbers.from_address(shape) if sides else []
    size = {4: 8, 1: 1}[dtype]
    for side in shape:
        size *= side
    return write(ctypes.c_void_p, result, hold((dtype, memory(size))))

def let_go(handle):
    del alive[handle]
    return 0

I, P, N = ctypes.c_int32, ctypes.c_uint64, ctypes.c_int64
FAKES = [  # of libtorch, in the order of operator.h
    ((I, P, P), lambda h, to: write(P, to, len(alive[h]))),
    ((I, P, P, P), lambda h, k, to: write(P, to, alive[h][k])),
    ((I, P), let_go),
    ((I, P, P), lambda h, to: write(I, to, alive[h][0])),
    ((I, P, P), lambda h, to: write(P, to, ctypes.addressof(alive[h][1]))),
    ((I, N, P, P, I, I, I, P), new_tensor),
    ((I, P), let_go),
    ((I, P), lambda to: write(ctypes.c_uint32, to, 1)),
    ((None, ctypes.c_bool, P, P, ctypes.c_uint32, ctypes.c_char_p),
     lambda right, name, file, line, message: refusals.append(message)),
    ((I,), lambda: 6), ((I,), lambda: 4), ((I,), lambda: 1), ((I,), lambda: 0),
]
refusals = []
fakes = [ctypes.CFUNCTYPE(*kinds)(function) for kinds, function in FAKES]
addresses = [ctypes.cast(fake, ctypes.c_void_p).value for fake in fakes]
KERNEL = ctypes.CFUNCTYPE(None, P, P, P)
kernels = [
    KERNEL(at) for at in _native.use_torch(
        packed(addresses), lambda shape, block: recipe_of[block[0]])
]

def call(kernel, name, shape, share, key, channels_last):
    gamma, number = memory(4), memory(8)
    ctypes.c_float.from_buffer(gamma).value = share
    ctypes.c_int64.from_buffer(number).value = key
    stack = (P * 5)(hold((6, gamma)), hold((4, number)), hold(shape),
                    hold([name] + [1] * (len(shape) - 3)), channels_last)
    kernel(ctypes.addressof(stack), 5, 2)
    return stack

def run_operators(name, case):
    layout, (way, key, share) = case[:2]
    images, channels, units = layout[:3]
    number = images * channels * units
    recipe_of[name] = packed(layout) + struct.pack('2d', *[(-1, 2), (2, 2)][way])
    for channels_last in range(2):
        shape = [images, channels] + [1] * channels_last + [units]
        asked = kernels[0], name, shape, share, key, channels_last
        mask, kept = call(*asked)[:2]
        (again,) = call(kernels[1], *asked[1:])[:1]
        first, second = (alive.pop(h)[1].raw[:number] for h in (mask, again))
        count = ctypes.c_int64.from_buffer(alive.pop(kept)[1]).value
        assert first == second and count == number - first.count(1)
        assert not alive and not refusals
    call(kernels[0], name, [1] * 6, share, key, 0)
    assert len(refusals) == 1 and not alive
    refusals.clear()

for name, case in enumerate(cases, 1):
    if case[1][0] < 2:  # not of given seeds
        run_operators(name, case)
for variant in range(_native.use_variant(-1) + 1):
    for case in cases:
        run(case, variant)
print(len(cases))
"""


def library(name):
    """Return the path of a library of the compiler, or nothing."""
    asked = ['gcc', f'-print-file-name={name}']
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return found.strip() if os.path.isabs(found.strip()) else ''


@pytest.fixture(scope='module')
def sanitized(tmp_path_factory):
    if sys.platform != 'linux' or not shutil.which('gcc'):
        pytest.skip('needs gcc on Linux')
    libraries = [library(name) for name in ('libasan.so', 'libubsan.so')]
    if not all(libraries):
        pytest.skip("gcc's sanitizers are not installed")
    folder = tmp_path_factory.mktemp('sanitized')
    include = sysconfig.get_path('include')
    command = ['gcc', *FLAGS.split(), f'-I{include}', str(SOURCE), '-lm']
    subprocess.run([*command, '-o', folder / '_native.so'], check=True)
    return folder, ':'.join(libraries)


def collected(examples, all_draws):
    """Return what hypothesis would try, as arguments for the loops."""
    cases = []

    @settings(max_examples=examples, database=None)
    @given(
        all_draws,
        st.sampled_from([(4, 0), (8, 1), (2, 2), (2, 3)]),
        st.booleans(),
        st.booleans(),
    )
    def collect(draw, dtype, channels_last, divides):
        layout = draw.geometry.layout
        _, channels, units = layout[:3]
        seeds = [] if draw.way is not Way.GIVEN else draw.seeds.flatten().tolist()
        planes = draw.geometry.covers_map and draw.geometry.shape[1] == 1
        steps = channels * units, units, 1
        if channels_last:
            steps = channels * units, 1, channels
        numbers = int(draw.way), draw.key, draw.share
        cases.append(
            [layout, numbers, seeds, *dtype, steps, 1.5 * divides, divides and planes]
        )

    collect()
    return cases + many_channels()


def many_channels():
    """More channels than are worth to draw often, behind each other: in all tiles."""
    return [
        [geometry.layout, (int(way), 7, 0.1), [], 4, 0,
         (channels * 135, 1, channels), 0.0, False]
        for channels in (130, 300, 520, 4100)
        for block, way in (((2, 3), Way.GAPS), ((1, 1), Way.BITS))
        for geometry in [BlockGeometry((2, channels, 5, 27), block)]
    ]  # fmt: skip


def test_no_access_is_out_of_bounds_and_nothing_is_undefined(
    sanitized, all_draws, tmp_path
):
    folder, libraries = sanitized
    (tmp_path / 'child.py').write_text(CHILD)
    cases = collected(150, all_draws)
    (tmp_path / 'cases.json').write_text(json.dumps(cases))
    done = subprocess.run(
        [sys.executable, 'child.py', 'cases.json'],
        cwd=tmp_path,
        env={
            'PYTHONPATH': str(folder),
            'LD_PRELOAD': libraries,
            'PYTHONMALLOC': 'malloc',
            'ASAN_OPTIONS': 'detect_leaks=0',
            'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(cases)
    assert not done.stderr
