"""The loops in C against those of tensor operations, and against plain Python."""

import dataclasses
import math
import multiprocessing
import os
import platform
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropblock_mm import DropBlock2d, drop_block_2d
from dropblock_mm.ops.cpu import native, sparse, torch_loops
from dropblock_mm.ops.plan import BlockGeometry, Draw, Recipe, Way
from dropblock_mm.ops.reference import reference_mask

pytestmark = [
    pytest.mark.skipif(
        not native.IS_BUILT, reason='dropblock_mm was installed without a C compiler'
    ),
    pytest.mark.usefixtures('variants'),
]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
# By number: what /proc/cpuinfo calls the instructions that each adds to those before.
INSTRUCTIONS = [
    set(),
    {'avx2', 'bmi1', 'bmi2', 'popcnt'},
    {'avx512f', 'avx512bw', 'avx512dq', 'avx512vl'},
    {'gfni', 'avx512_vpopcntdq'},
]


@pytest.fixture(params=['through the caches', 'past the caches'])
def streamed(request):
    """How the output is written: small ones go past the caches in tests alone."""
    before = native.stream_from(1 << 62)
    if request.param == 'past the caches':
        native.stream_from(0)
    yield
    native.stream_from(before)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def order_of(x, order):
    """Return the same values, with dimensions that lie in memory in another order."""
    back = [order.index(k) for k in range(x.dim())]
    return x.permute(order).contiguous().permute(back)


def layouts(x, random):
    """The same values in the layouts of networks and in others."""
    last = [0, *range(2, x.dim()), 1]
    yield x
    yield order_of(x, last)
    yield order_of(x, random.sample(range(x.dim()), x.dim()))
    yield torch.cat([x, x + 1], 1)[:, : x.shape[1]]
    yield torch.stack([x, x + 1], -1)[..., 0]
    yield order_of(torch.cat([x, x + 1], 2), last)[:, :, : x.shape[2]]
    yield x[:1, :1].expand_as(x)


@given(st.data())
def test_masks_are_drawn_alike(all_draws, variants, data):
    """And they are what the slow oracle makes of the seeds."""
    draw = data.draw(all_draws)
    expected, dropped = torch_loops.draw_mask(draw)
    for variant in variants:
        native.use_instructions(variant)
        mask, count = sparse.draw_mask(draw)
        assert torch.equal(mask, expected)
        assert count == dropped == mask.sum() * draw.geometry.shared_over
    seeds = torch_loops.draw_seeds(draw)
    if seeds.sum() < 200:
        geometry = draw.geometry
        kept = reference_mask(seeds, geometry.block, geometry.shape[2:])
        assert torch.equal(kept == 0, expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(DTYPES), st.randoms(use_true_random=False))
def test_masks_are_applied_alike_in_every_layout(
    all_draws, variants, streamed, data, dtype, random
):
    """As one product, rounded once, and in the layout that a product has."""
    draw = data.draw(all_draws)
    images, channels, *size = draw.geometry.shape
    shape = (images, channels * draw.geometry.shared_over, *size)
    generator = torch.Generator().manual_seed(draw.key % 2**40)
    values = torch.randn(shape, generator=generator).to(dtype)
    mask, dropped = torch_loops.draw_mask(draw)
    scale = values.numel() / max(values.numel() - dropped, 1)
    for x in layouts(values, random):
        product = x * scale
        expected = product.masked_fill(mask, 0)
        for variant in variants:
            native.use_instructions(variant)
            out, count = sparse.scale_and_clear(x, draw)
            assert count == dropped
            assert torch.equal(out, expected)
            longer = [k for k, side in enumerate(shape) if side > 1]
            assert all(out.stride(k) == product.stride(k) for k in longer)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('factor', [1.0, 1.1, 1 / 3, 3e-5, 4e4])
def test_every_number_of_16_bits_is_rounded_as_by_torch(variants, dtype, factor):
    x = torch.arange(-(2**15), 2**15).to(torch.int16).view(dtype).view(1, 1, -1)
    for odd in (0, 3):  # whole vectors, and what is left of them
        for variant in variants:
            native.use_instructions(variant)
            part = x[..., odd:]
            geometry = BlockGeometry(tuple(part.shape), (1,))
            given = Draw.given(geometry, torch.zeros(part.shape) > 0, factor)
            out, _ = sparse.scale_and_clear(part, given)
            torch.testing.assert_close(
                out, part * factor, rtol=0, atol=0, equal_nan=True
            )


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('shape', [(3, 1, 1), (4, 70, 5), (3, 1, 33), (5, 2, 1)])
def test_samples_are_divided(variants, streamed, dtype, shape):
    images, channels, units = shape
    values = torch.randn(shape).to(dtype)
    geometry = BlockGeometry((images, 1, units), (units,), channels)
    draw = Draw.of(geometry, 0.4, 3, factor=0.7, divides=True)
    mask, _ = torch_loops.draw_mask(draw)
    wide = torch.promote_types(dtype, torch.float32)
    expected = (values.to(wide) / 0.7).to(dtype).masked_fill(mask, 0)
    for x in (values, order_of(values, [0, 2, 1])):
        for variant in variants:
            native.use_instructions(variant)
            assert torch.equal(sparse.scale_and_clear(x, draw)[0], expected)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sparse, 'in_c', False)
                out, _ = sparse.scale_and_clear(x, draw)
            assert torch.equal(out, expected)


def test_a_negative_view_is_read_with_its_sign():
    draw = Draw.of(BlockGeometry((2, 3, 5, 7), (2, 2)), 0.1, 2, factor=1.5)
    mask, _ = torch_loops.draw_mask(draw)
    x = torch.randn(2, 3, 5, 7)
    negative = torch._neg_view(x)
    assert negative.is_neg()
    out, _ = sparse.scale_and_clear(negative, draw)
    assert torch.equal(out, (x * -1.5).masked_fill(mask, 0))


def test_nothing_beside_the_output_is_written(streamed):
    """What is before and behind in memory stays."""
    for dtype in DTYPES:
        for channels_last in (False, True):
            memory = torch.ones(8 + 3 * 5 * 7 * 9 + 8, dtype=dtype)
            x = torch.randn(3, 5, 7, 9).to(dtype)
            if channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            with pytest.MonkeyPatch.context() as patch:
                inner = memory[8:-8].as_strided(x.shape, x.stride(), 8)
                patch.setattr(
                    sparse, '_empty_like', lambda *_, inner=inner, **__: inner
                )
                draw = Draw.of(BlockGeometry((3, 5, 7, 9), (2, 3)), 0.2, 1)
                out, _ = sparse.scale_and_clear(x, draw)
            assert out is inner
            assert (memory[:8] == 1).all()
            assert (memory[-8:] == 1).all()


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('first', [0, 1, 5])
def test_rows_of_many_lines_that_begin_anywhere(variants, dtype, first):
    """Slices of a row end with a line of the cache, and a mask's bits go on."""
    draw = Draw.of(BlockGeometry((2, 2, 65, 97), (2, 3)), 0.05, 7, factor=1.5)
    mask, _ = torch_loops.draw_mask(draw)
    memory = torch.randn(first + mask.numel()).to(dtype)
    x = memory[first:].view(mask.shape)
    expected = (x * 1.5).masked_fill(mask, 0)
    before = native.stream_from(0)
    try:
        with pytest.MonkeyPatch.context() as patch:
            inner = torch.zeros_like(memory)[first:].view(mask.shape)
            patch.setattr(sparse, '_empty_like', lambda *_, **__: inner)
            for variant in variants:
                native.use_instructions(variant)
                inner.fill_(-1)
                out, _ = sparse.scale_and_clear(x, draw)
                assert torch.equal(out, expected)
    finally:
        native.stream_from(before)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('divides', [False, True])
@pytest.mark.parametrize('size', [(1, 1), (5, 13), (90, 91), (91, 91)])
def test_whole_planes_are_read_or_skipped_alike(
    variants, streamed, two_threads, dtype, divides, size
):
    """Of those that are dropped short runs may be read, whatever numbers they hold."""
    draw = Draw.of(BlockGeometry((2, 9, *size), size), 0.3, 7, 0.7, divides)
    mask, dropped = torch_loops.draw_mask(draw)
    x = torch.randn(mask.shape).to(dtype).masked_fill(mask, math.nan)
    expected = torch_loops.apply(x, mask, dropped, 0.7, divides)
    for variant in variants:
        native.use_instructions(variant)
        out, count = sparse.scale_and_clear(x, draw)
        assert count == dropped
        assert torch.equal(out, expected)
        assert not out[mask].signbit().any()


@pytest.mark.parametrize('channels', [64, 128, 1024, 1100, 2048])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('block', [(2, 3), (9, 9)])
def test_many_channels_behind_each_other(variants, streamed, channels, dtype, block):
    """In slabs of channels, and as one row where nothing lies between units."""
    draw = Draw.of(BlockGeometry((2, channels, 9, 9), block), 0.1, 7, factor=1.5)
    mask, dropped = torch_loops.draw_mask(draw)
    x = torch.randn(mask.shape).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    expected = (x * 1.5).masked_fill(mask, 0)
    for variant in variants:
        native.use_instructions(variant)
        out, count = sparse.scale_and_clear(x, draw)
        assert count == dropped
        assert torch.equal(out, expected)


@pytest.mark.parametrize('channels', [64, 96, 128, 256, 300, 520, 4100])
@pytest.mark.parametrize('size', [(21, 41), (16, 24), (7, 9)])
@pytest.mark.parametrize('block', [(3, 3), (1, 1)])
def test_tiles_lie_along_channels_or_units(
    variants, two_threads, channels, size, block
):
    """All arrangements of eight tiles, full and in part, at a word's start or not."""
    draw = Draw.of(BlockGeometry((1, channels, *size), block), 0.1, 7, factor=1.5)
    mask, dropped = torch_loops.draw_mask(draw)
    x = torch.randn(mask.shape).contiguous(memory_format=torch.channels_last)
    expected = (x * 1.5).masked_fill(mask, 0)
    for variant in variants:
        native.use_instructions(variant)
        out, count = sparse.scale_and_clear(x, draw)
        in_bytes, number = sparse.draw_mask(draw, channels_last=True)
        assert count == number == dropped
        assert torch.equal(out, expected)
        assert torch.equal(in_bytes, mask)


@pytest.mark.parametrize('variant', range(len(INSTRUCTIONS)))
@pytest.mark.parametrize('channels', [40, 64, 128, 200, 256, 512, 600, 1024, 4160])
@pytest.mark.parametrize('units', [64, 100, 1000, 4200])
def test_every_bit_is_turned_by_every_instruction_set(variant, channels, units):
    """In squares of 64 x 64 bits, all of them random, of many or of few channels."""
    if native.use_instructions(variant) != variant:
        pytest.skip(f'this machine or its compiler has not {INSTRUCTIONS[variant]}')
    for block in (1, 2):  # planes that begin within a word, and with one
        geometry = BlockGeometry((1, channels, 1, units), (1, block))
        draw = Draw(Recipe(geometry, 0.5 / block, Way.BITS), 7)
        expected, _ = torch_loops.draw_mask(draw)
        found, _ = sparse.draw_mask(draw, channels_last=True)
        assert torch.equal(found, expected)
        x = order_of(torch.ones(geometry.shape), [0, 2, 3, 1])
        assert torch.equal(sparse.scale_and_clear(x, draw)[0] == 0, expected)


@pytest.mark.skipif(
    sys.platform != 'linux' or platform.machine() != 'x86_64',
    reason='asks /proc/cpuinfo of an x86 processor',
)
def test_the_best_instructions_of_the_machine_are_in_use():
    best = native.use_instructions(-1)
    if best == 0:
        pytest.skip('its compiler made the loops for one instruction set')
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    found = set(next(line for line in lines if line.startswith('flags')).split())
    missing = [number for number, flags in enumerate(INSTRUCTIONS) if flags - found]
    assert best == min(missing, default=len(INSTRUCTIONS)) - 1


def test_a_large_output_goes_past_the_caches_alike(two_threads):
    draw = Draw.of(BlockGeometry((1, 3, 1000, 1000), (3, 3)), 0.01, 7)
    x = torch.randn(1, 3, 1000, 1000)
    out, _ = sparse.scale_and_clear(x, draw)
    before = native.stream_from(1 << 62)
    try:
        assert 0 < before < x.numel() * x.element_size()
        assert torch.equal(out, sparse.scale_and_clear(x, draw)[0])
    finally:
        native.stream_from(before)


@pytest.mark.parametrize('way', [Way.GAPS, Way.BITS])
def test_numbers_beyond_32_bits(way):
    """Keys of 63 bits, and streams and words by the thousand."""
    geometry = BlockGeometry((1, 1, 3_000_000), (1,))
    masks = [
        loops.draw_mask(Draw(Recipe(geometry, 0.01, way), 2**63 - 1))[0]
        for loops in (sparse, torch_loops)
    ]
    assert torch.equal(*masks)
    error = 5 * (3e6 * 0.01 * 0.99) ** 0.5
    assert abs(masks[0].sum().item() - 30_000) < error


# ---- threads


def many_threads(x, **options):
    torch.manual_seed(0)
    leaf = x.clone().requires_grad_()
    out = drop_block_2d(leaf, **options)
    return out, torch.autograd.grad(out.sum() + out.square().sum(), leaf)[0]


@pytest.mark.parametrize('block_size', [1, 7, 40])
@pytest.mark.parametrize('keep_prob', [0.9, 0.2])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_the_number_of_threads_changes_nothing(block_size, keep_prob, layout):
    x = torch.randn(2, 70, 40, 41).contiguous(memory_format=layout)
    options = dict(keep_prob=keep_prob, block_size=block_size)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(many_threads(x, **options))
    finally:
        torch.set_num_threads(before)
    for out, grad in found[1:]:
        assert torch.equal(out, found[0][0])
        assert torch.equal(grad, found[0][1])


def runtimes_and_threads():
    """Return the OpenMP runtimes that are loaded, and the ids of all threads."""
    maps = Path('/proc/self/maps').read_text()
    runtimes = set(re.findall(r'/lib[gi]?omp[^/\s]*$', maps, re.MULTILINE))
    return runtimes, {task.name for task in Path('/proc/self/task').iterdir()}


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_there_is_no_second_runtime_and_torchs_is_in_use(two_threads):
    """Two would start a thread for each core twice, and wait for each other."""
    assert native.use_torchs_threads()
    x = torch.randn(4, 64, 40, 40)
    assert (x * 1.1).shape == x.shape  # starts torch's threads
    runtimes, threads = runtimes_and_threads()
    sparse.scale_and_clear(x, Draw.of(BlockGeometry((4, 64, 40, 40), (7, 7)), 0.01, 1))
    after = runtimes_and_threads()
    assert after[0] == runtimes
    # Those of an earlier, larger team may take a while to end.
    assert after[1] <= threads


def test_python_threads_may_call_at_once(two_threads):
    x = torch.randn(4, 64, 40, 40)
    draws = [Draw.of(BlockGeometry((4, 64, 40, 40), (7, 7)), 0.01, k) for k in range(8)]
    expected = [sparse.scale_and_clear(x, draw)[0] for draw in draws]
    found = [None] * len(draws)

    def work(k):
        for _ in range(5):
            found[k] = sparse.scale_and_clear(x, draws[k])[0]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(draws))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(map(torch.equal, found, expected))


def _drop_in_child(x, draw, queue):
    queue.put(sparse.scale_and_clear(x, draw)[1])


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
def test_a_forked_child_does_not_wait_for_threads_that_are_not_there(two_threads):
    x = torch.randn(4, 64, 40, 40)
    draw = Draw.of(BlockGeometry((4, 64, 40, 40), (7, 7)), 0.01, 1)
    dropped = sparse.scale_and_clear(x, draw)[1]  # starts the threads
    context = multiprocessing.get_context('fork')
    queue = context.SimpleQueue()
    child = context.Process(target=_drop_in_child, args=(x, draw, queue))
    child.start()
    child.join(60)
    assert child.exitcode == 0, 'it hangs'
    assert queue.get() == dropped


# ---- installations


def test_an_installation_without_the_loops_in_c_works():
    """As after a build without a compiler."""
    code = (
        'import sys\n'
        "sys.modules['dropblock_mm.ops.cpu._native'] = None\n"
        'import torch, dropblock_mm\n'
        'from dropblock_mm.ops.cpu import native, sparse\n'
        'assert not native.IS_BUILT and not sparse.in_c\n'
        'torch.manual_seed(0)\n'
        'x = torch.ones(2, 8, 20, 20)\n'
        'out = dropblock_mm.drop_block_2d(x, keep_prob=0.9, block_size=7)\n'
        'print((out == 0).sum().item())\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    torch.manual_seed(0)
    out = drop_block_2d(torch.ones(2, 8, 20, 20), keep_prob=0.9, block_size=7)
    assert int(done.stdout) == (out == 0).sum().item() > 0


@pytest.mark.parametrize('between', [0, 1, 70, 'large'])
def test_backward_finds_the_mask_of_forward_or_draws_it_again(between):
    """Of 64 masks and 4 MiB only the last are kept, and any others come between."""
    layer = DropBlock2d(keep_prob=0.7, block_size=3)
    shape = (2, 64, 20, 20) if between != 'large' else (4, 64, 128, 128)
    number = 9 if between == 'large' else between  # each takes half a MiB
    leaves = [torch.ones(2, 3, 20, 20).requires_grad_()]
    leaves += [torch.ones(shape).requires_grad_() for _ in range(number)]
    outs = [layer(leaf) for leaf in leaves]
    for leaf, out in zip(leaves, outs, strict=True):  # the oldest first
        for _ in range(2):
            (grad,) = torch.autograd.grad(out, leaf, torch.ones_like(out), True)
            assert torch.equal(grad, out)


def test_a_mask_is_found_under_all_that_it_depends_on_alone():
    x = torch.ones(2, 3, 20, 20)
    draw = Draw.of(BlockGeometry((2, 3, 20, 20), (3, 3)), 0.05, 7)
    others = [
        draw._replace(key=8),
        *(
            draw._replace(recipe=dataclasses.replace(draw.recipe, **change))
            for change in (
                dict(share=0.06),
                dict(way=Way.BITS if draw.way is Way.GAPS else Way.GAPS),
                dict(geometry=BlockGeometry((2, 3, 20, 20), (3, 4))),
            )
        ),
    ]
    sparse.scale_and_clear(x, draw, use=1)
    for other in others:
        found, count = sparse.scale_and_clear(x, other, use=2)
        expected, dropped = sparse.scale_and_clear(x, other)
        assert torch.equal(found, expected)
        assert count == dropped


@pytest.mark.parametrize('block', [(3, 3), (1, 1), (25, 23)])
@pytest.mark.parametrize('channels', [1, 3, 64, 130])
def test_a_mask_in_bytes_with_channels_behind_each_other(variants, channels, block):
    draw = Draw.of(BlockGeometry((2, channels, 25, 23), block), 0.1, 7)
    expected, dropped = torch_loops.draw_mask(draw)
    for variant in variants:
        native.use_instructions(variant)
        found, count = sparse.draw_mask(draw, channels_last=True)
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(found, expected)
        assert count == dropped == int(expected.sum())


def test_a_mask_in_bytes_is_one_that_was_kept():
    geometry = BlockGeometry((2, 3, 20, 20), (3, 3))
    draws = [Draw.of(geometry, 0.05, key) for key in (7, 8)]
    kept = [sparse.drop_mask(draw, sparse.KEEP) for draw in draws]
    assert not torch.equal(kept[0][0], kept[1][0])
    for draw, (mask, count) in zip(draws, kept, strict=True):
        found, again = sparse.drop_mask(draw, sparse.AGAIN)
        assert torch.equal(found, mask)
        assert again == count == int((~mask).sum())
        x = torch.ones(2, 3, 20, 20)  # the other way to ask
        assert torch.equal(sparse.scale_and_clear(x, draw, use=2)[0] == 0, mask)
