"""What AmoebaNet-B (6, 256) costs: time beside NASNet-A-Large, and memory.

Usage::

    python -m tools.dev.amoebanet_cost time --repeat 5
    python -m tools.dev.amoebanet_cost memory --batch-sizes 1 8

``time`` trains a step of each in turn, one image of 331 pixels, on one thread of the
CPU, and prints the processor time of each pair: that of AmoebaNet, divided by timm's
NASNet-A-Large times the ratio of their multiply-adds. Below 1 a multiply-add costs less
here. ``memory`` counts the bytes of tensors that are alive at once in a step, with and
without ``with_cp``; nothing is computed, so it takes no memory itself.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dropblock_mm import AmoebaNet
from tools.dev.live_memory import LiveMemory

SIDE = 331
MIB = 2**20


class Classifier(nn.Module):
    """AmoebaNet and a dense layer, as timm's model has one."""

    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.backbone = AmoebaNet(**options)  # type: ignore[arg-type]
        self.fc = nn.Linear(self.backbone.out_channels[-1], 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits."""
        return self.fc(self.backbone(x)[-1].mean(dim=(2, 3)))


def nasnet() -> nn.Module:
    """Build timm's NASNet-A-Large."""
    import timm

    return timm.create_model('nasnetalarge', num_classes=1000)


def multiply_adds(build: type[nn.Module]) -> float:
    """Count those of an image."""
    with torch.device('meta'):
        model, image = build().eval(), torch.empty(1, 3, SIDE, SIDE)
    with FlopCounterMode(display=False) as counter:
        model(image)
    return counter.get_total_flops() / 2


def step_time(model: nn.Module, image: Tensor) -> float:
    """Return the processor's seconds of a forward and a backward pass."""
    start = time.process_time()
    model(image).sum().backward()
    return time.process_time() - start


def compare_time(repeat: int) -> None:
    """Print the pairs, and the median of their ratios."""
    torch.set_num_threads(1)
    builds = (Classifier, nasnet)
    ours, theirs = (multiply_adds(build) for build in builds)  # type: ignore[arg-type]
    print(f'multiply-adds: {ours / 1e9:.2f} and {theirs / 1e9:.2f} billion')
    image = torch.randn(1, 3, SIDE, SIDE)
    models = [build().train() for build in builds]
    for model in models:
        step_time(model, image)  # does not count
    ratios = []
    for _ in range(repeat):
        seconds = [step_time(model, image) for model in models]
        ratios.append(seconds[0] / seconds[1] / (ours / theirs))
        print(
            f'AmoebaNet {seconds[0]:.2f} s, NASNet {seconds[1]:.2f} s: '
            f'{ratios[-1]:.2f} for each multiply-add',
            flush=True,
        )
    print(f'median: {statistics.median(ratios):.2f}')


def peak_memory(batch_size: int, with_cp: bool) -> tuple[int, int]:
    """Return the most bytes alive in a step, and those of the gradients."""
    with torch.device('meta'):
        model = Classifier(with_cp=with_cp).train()
        images = torch.empty(batch_size, 3, SIDE, SIDE)
    with LiveMemory() as memory:
        model(images).sum().backward()
    gradients = sum(p.numel() * p.element_size() for p in model.parameters())
    return memory.peak, gradients


def compare_memory(batch_sizes: Sequence[int]) -> None:
    """Print activations and gradients, without weights and the optimizer's state."""
    for batch_size in batch_sizes:
        (plain, gradients), (again, _) = (
            peak_memory(batch_size, with_cp) for with_cp in (False, True)
        )
        print(
            f'batch {batch_size}: {plain / MIB:.0f} MiB, recomputed '
            f'{again / MIB:.0f} MiB ({again / plain:.2f}), of which '
            f'{gradients / MIB:.0f} MiB are gradients at the end',
            flush=True,
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('what', choices=('time', 'memory'))
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--batch-sizes', type=int, nargs='+', default=[1, 8])
    args = parser.parse_args(argv)
    if args.what == 'time':
        compare_time(args.repeat)
    else:
        compare_memory(args.batch_sizes)


if __name__ == '__main__':
    main()
