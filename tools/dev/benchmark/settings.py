"""How much is measured, and on what."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

KEEP_PROB = 0.9
BLOCK_SIZE = 7


@dataclass(frozen=True)
class Case:
    """An input: its shape (N, C, H, W), dtype and memory format."""

    shape: tuple[int, int, int, int]
    dtype: torch.dtype = torch.float32
    channels_last: bool = False

    def __str__(self) -> str:
        name = 'x'.join(map(str, self.shape))
        if self.dtype != torch.float32:
            name += f' {str(self.dtype).removeprefix("torch.")}'
        return f'{name} channels_last' if self.channels_last else name

    def tensor(self, device: str) -> torch.Tensor:
        """Return normally distributed numbers."""
        x = torch.randn(self.shape, device=device).to(self.dtype)
        return x.contiguous(memory_format=self.memory_format)

    @property
    def memory_format(self) -> torch.memory_format:
        """As torch names it."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


CPU_CASES = (
    Case((2, 1024, 40, 40)),
    Case((2, 2048, 20, 20)),
    Case((2, 256, 40, 40)),
    Case((2, 512, 20, 20)),
)
# 3, 12 and 50 million units: layer4 and layer3 of a ResNet-50 at common sizes.
_CUDA_SHAPES = ((2, 1024, 40, 40), (8, 1024, 40, 40), (32, 1024, 40, 40))
CUDA_CASES = (
    *(
        Case(shape, dtype)
        for shape in _CUDA_SHAPES
        for dtype in (torch.float32, torch.bfloat16, torch.float16)
    ),
    Case(_CUDA_SHAPES[1], torch.float32, channels_last=True),
    Case(_CUDA_SHAPES[1], torch.bfloat16, channels_last=True),
)


@dataclass(frozen=True)
class Settings:
    """What the sections need to know.

    Args:
        device: 'cpu' or 'cuda'.
        cases: Inputs of the op.
        repeats: Samples of each pair of calls.
        map_case: Input for the sections on block sizes and memory.
        batches: Batch sizes for the section on scaling.
        image_size: Side of the images of a training step, at least 224.
        peak_image_size: The same where memory is measured.
        batch_size: Images in a training step.
        width: Channels of the first stage of that step's network; a ResNet-50 has 64.
        steps: Rounds of training steps.
        rates: Changes of keep_prob under torch.compile.
        block_shape: Input of the residual block that inductor compiles.
        masks: Feature maps of one channel to measure a keep rate on, per call.
        calls: Such calls.
        is_full: Whether figures are to mean something.
    """

    device: str = 'cpu'
    cases: tuple[Case, ...] = CPU_CASES
    repeats: int = 41
    map_case: Case = CPU_CASES[2]
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    image_size: int = 256
    peak_image_size: int = 320
    batch_size: int = 2
    width: int = 64
    steps: int = 15
    rates: int = 200
    block_shape: tuple[int, int, int, int] = (2, 64, 40, 40)
    masks: int = 128
    calls: int = 10
    is_full: bool = True


def make_settings(device: str, *, quick: bool, repeats: int | None) -> Settings:
    """Return the settings for a device; ``quick`` ones only show that all works."""
    settings = Settings(device, CUDA_CASES if device == 'cuda' else CPU_CASES)
    if device == 'cuda':  # enough units for kernels to matter, not their launch
        settings = replace(settings, repeats=15, map_case=Case((8, 1024, 40, 40)))
    if quick:
        settings = replace(
            settings,
            cases=(Case((2, 8, 40, 40)), Case((2, 16, 20, 20))),
            repeats=3,
            map_case=Case((2, 4, 40, 40)),
            batches=(1, 2, 4),
            image_size=224,
            peak_image_size=224,
            batch_size=1,
            width=8,
            steps=1,
            rates=20,
            block_shape=(2, 8, 16, 16),
            masks=16,
            calls=4,
            is_full=False,
        )
    return settings if repeats is None else replace(settings, repeats=repeats)
