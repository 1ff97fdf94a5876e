"""Fixtures of the tests that run kernels."""

import numpy as np
import pytest
import torch


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
