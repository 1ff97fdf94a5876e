"""Fixtures of the tests of ops."""

import numpy as np
import pytest
import torch
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile('without_deadline', deadline=None)
settings.load_profile('without_deadline')


@pytest.fixture(scope='module')
def triton_interpreter():
    """Make the interpreter reduce fast, round as hardware does, and run few programs.

    Its own reduction by OR calls Python for each element, and its conversion to
    bfloat16 drops the bits that it should round. On a GPU nothing is changed.
    """
    if torch.cuda.is_available():
        yield
        return
    pytest.importorskip('triton', reason='the kernels need triton, which Linux has')
    import triton.language as tl
    from triton.runtime import interpreter

    from dropblock_mm.ops.gpu import kernels, tiling

    convert = interpreter._convert_float

    def reduce(self, inputs):
        assert self.combine_fn is kernels._or
        arrays = [(x.handle.data, x.dtype) for x in inputs]
        return [
            self.to_tensor(np.bitwise_or.reduce(data, axis=self.axis), dtype)
            for data, dtype in arrays
        ]

    def round_to_bfloat16(data, source, target, rounding):
        if (source, target) != (tl.float32, tl.bfloat16):
            return convert(data, source, target, rounding)
        rounded = torch.from_numpy(np.array(data)).to(torch.bfloat16)
        return rounded.view(torch.int16).numpy().view(np.uint16)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter.ReduceOps, 'generic_reduce', reduce)
        patch.setattr(interpreter, '_convert_float', round_to_bfloat16)
        patch.setattr(tiling, 'BUSY_THREADS', 1)
        tiling.choose_tile.cache_clear()
        yield
    tiling.choose_tile.cache_clear()


@pytest.fixture(scope='session')
def memory_formats():
    """Return the same values in every layout that a model may hand over."""

    def laid_out(x):
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        doubled = torch.stack([x, x], dim=-1)
        layouts = {
            'contiguous': x,
            'transposed': x.transpose(-2, -1).contiguous().transpose(-2, -1),
            'strided': doubled[..., 0],
            'offset': torch.cat([x, x])[x.shape[0] :],
        }
        if x.dim() in formats:
            channels_last = x.contiguous(memory_format=formats[x.dim()])
            layouts['channels_last'] = channels_last
        return layouts

    return laid_out
