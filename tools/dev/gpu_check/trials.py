"""Trials that no other tool does: CUDA graphs, mixed precision, two processes.

Usage: ``python -m tools.dev.gpu_check.trials NAME --device cuda --out FILE``. Each
writes what it found as JSON and fails if that is wrong.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from dropblock_mm import DropBlock2d

KEEP_PROB, BLOCK_SIZE = 0.9, 7
Found = dict[str, Any]


class NotRunError(Exception):
    """Says why there was nothing to try."""


def network(device: str, channels: int = 16) -> nn.Sequential:
    """Two convolutions with DropBlock behind each norm."""
    layers: list[nn.Module] = []
    for inputs in (3, channels):
        layers += [
            nn.Conv2d(inputs, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            DropBlock2d(keep_prob=KEEP_PROB, block_size=BLOCK_SIZE),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers).to(device).train()


def drop_layers(model: nn.Module) -> list[DropBlock2d]:
    """The layers whose counts are looked at."""
    return [module for module in model.modules() if isinstance(module, DropBlock2d)]


def graphs(device: str) -> Found:
    """Capture forward and backward once, and see that each replay draws anew."""
    if device != 'cuda':
        raise NotRunError('CUDA graphs need a GPU')
    layer = DropBlock2d(keep_prob=KEEP_PROB, block_size=BLOCK_SIZE).cuda().train()
    x = torch.ones(4, 64, 40, 40, device=device, requires_grad=True)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # warm-up, as torch's guide asks for
        for _ in range(3):
            layer(x).sum().backward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    x.grad = None
    with torch.cuda.graph(graph):
        out = layer(x)
        out.sum().backward()
    masks, same_mask = [], []
    for _ in range(4):
        x.grad.zero_()  # type: ignore[attr-defined]
        graph.replay()
        torch.cuda.synchronize()
        masks.append((out != 0).cpu())
        same_mask.append(torch.equal(out, x.grad))  # type: ignore[arg-type]
    new = [not torch.equal(a, b) for a, b in itertools.pairwise(masks)]
    layer.set_keep_prob(1.0)  # the captured graph reads the buffer
    graph.replay()
    torch.cuda.synchronize()
    return {
        'replays_draw_anew': all(new),
        'backward_has_the_mask_of_forward': all(same_mask),
        'keep_prob_moves_without_a_new_capture': bool((out != 0).all()),
    }


def amp(device: str) -> Found:
    """Train a step in bfloat16 and in float16, with a scaler where torch has one."""
    found: Found = {}
    for dtype in (torch.bfloat16, torch.float16):
        torch.manual_seed(0)
        model = network(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler(
            device, enabled=device == 'cuda' and dtype == torch.float16
        )
        x = torch.randn(4, 3, 32, 32, device=device)
        losses = []
        for _ in range(10):
            optimizer.zero_grad()
            with torch.autocast(device, dtype=dtype):
                out = model(x)
                loss = (out.float() - 1.0).square().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(float(loss.detach()))
        name = str(dtype).removeprefix('torch.')
        found[f'{name}_is_finite'] = all(map(is_finite, losses))
        found[f'{name}_loss_falls'] = losses[-1] < losses[0]
        found[f'{name}_keeps_about_what_it_should'] = all(
            abs(int(layer.kept_units) / int(layer.seen_units) - KEEP_PROB) < 0.1
            for layer in drop_layers(model)
        )
    return found


def is_finite(number: float) -> bool:
    """Neither infinite nor not a number."""
    return number - number == 0.0


def two_processes(device: str) -> Found:
    """Train two ranks together: equal weights, masks of their own."""
    # Two ranks on one GPU have to share it, which NCCL refuses.
    shared = device == 'cuda' and torch.cuda.device_count() < 2
    backend = 'nccl' if device == 'cuda' and not shared else 'gloo'
    with tempfile.TemporaryDirectory() as folder:
        context = mp.get_context('spawn')
        arguments = (folder, device, backend, shared)
        ranks = [
            context.Process(target=one_rank, args=(rank, *arguments)) for rank in (0, 1)
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
        if any(process.exitcode for process in ranks):
            raise RuntimeError(f'ranks ended with {[p.exitcode for p in ranks]}')
        first, second = (
            torch.load(Path(folder, f'{rank}.pt'), weights_only=True) for rank in (0, 1)
        )
    pairs = zip(first['weights'], second['weights'], strict=True)
    return {
        'backend': backend,
        'gpus': torch.cuda.device_count() if device == 'cuda' else 0,
        'equal_weights': all(torch.equal(a, b) for a, b in pairs),
        'masks_of_their_own': not torch.equal(first['mask'], second['mask']),
    }


def one_rank(rank: int, folder: str, device: str, backend: str, shared: bool) -> None:
    """Train a rank, and write its weights and its last mask."""
    if device == 'cuda':
        torch.cuda.set_device(0 if shared else rank)
    dist.init_process_group(
        backend, init_method=f'file://{folder}/ranks', rank=rank, world_size=2
    )
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(network(device))
    torch.manual_seed(1 + rank)  # as training with DropBlock seeds ranks
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(2, 3, 32, 32, device=device)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    mask = drop_layers(model)[0](torch.ones(2, 8, 32, 32, device=device)) != 0
    weights = [p.detach().cpu() for p in model.parameters()]
    torch.save({'weights': weights, 'mask': mask.cpu()}, Path(folder, f'{rank}.pt'))
    dist.destroy_process_group()


TRIALS: dict[str, Callable[[str], Found]] = {
    'graphs': graphs,
    'amp': amp,
    'two_processes': two_processes,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a trial and write what it found; 1 if some of it is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('name', choices=TRIALS)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cuda')
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args(argv)
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    torch.manual_seed(0)
    try:
        found = TRIALS[args.name](args.device)
    except NotRunError as error:
        args.out.write_text(json.dumps({'not_run': str(error)}))
        return 0
    args.out.write_text(json.dumps(found, indent=1))
    wrong = [key for key, value in found.items() if value is False]
    for key in wrong:
        print(f'gpu_check: {args.name}: {key} is not so', file=sys.stderr)
    return int(bool(wrong))


if __name__ == '__main__':
    raise SystemExit(main())
