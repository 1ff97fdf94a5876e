"""The parts of the check: what each runs, in an order that puts the op first."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

BENCHMARK = 'tools.dev.benchmark'
OP_TESTS = (
    'tests/test_ops/test_gpu',
    'tests/test_ops/test_drop_block.py',
    'tests/test_ops/test_paths.py',
)


@dataclass(frozen=True)
class Part:
    """One part, which is a process of its own.

    Args:
        title: What it tries.
        module: Run with ``python -m``.
        arguments: For it; {device}, {out} and {folder} are replaced.
        quick: More of them where only the code is tried.
        needs: Packages without which it cannot run.
    """

    title: str
    module: str
    arguments: tuple[str, ...]
    quick: tuple[str, ...] = ()
    needs: tuple[str, ...] = ('torch',)

    def command(self, device: str, out: Path, quick: bool) -> list[str]:
        """What to run; the results go to ``out``."""
        words = [*self.arguments, *(self.quick if quick else ())]
        filled = [
            word.format(device=device, out=out, folder=out.parent) for word in words
        ]
        return [sys.executable, '-m', self.module, *filled]


def benchmark(title: str, *sections: str, needs: tuple[str, ...] = ()) -> Part:
    """A part that runs sections of the benchmark."""
    given = ('--only', *sections, '--device', '{device}', '--out', '{out}')
    # Threads wait for each other by spinning, for minutes where the machine is busy.
    quick = ('--quick', '--threads', '1')
    needs = ('torch', 'numpy', 'matplotlib', *needs)
    return Part(title, BENCHMARK, given, quick, needs)


def trial(name: str, title: str) -> Part:
    """A part that is a function of ``trials``."""
    given = (name, '--device', '{device}', '--out', '{out}')
    return Part(title, 'tools.dev.gpu_check.trials', given)


PARTS = {
    'op_tests': Part(
        "the op's tests",
        'pytest',
        ('-q', '-m', '', '-p', 'no:cacheprovider', '--confcutdir=tests/test_ops')
        + OP_TESTS,
        ('-k', 'agree or waits or known'),
        # pytest loads the last of them, which is Hypothesis' too.
        ('torch', 'numpy', 'pytest', 'hypothesis', '_hypothesis_pytestplugin'),
    ),
    'op': benchmark('the op beside torchvision, timm and x * c', 'op'),
    'kernels': benchmark('time in kernels, and waits for the GPU', 'cuda'),
    'graphs': trial('graphs', 'CUDA graphs'),
    'amp': trial('amp', 'mixed precision'),
    'compile': benchmark('torch.compile', 'compile'),
    'memory': benchmark('memory', 'memory', 'block_size', needs=('mmdet',)),
    'training_step': benchmark(
        'a training step of RetinaNet-R50, with and without 36 sites',
        'training_step',
        needs=('mmdet', 'mmcv'),
    ),
    'two_processes': trial('two_processes', 'two processes'),
    'keep_rate': benchmark('keep rates', 'keep_rate', 'scaling'),
}
