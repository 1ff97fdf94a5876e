"""Try on a GPU what was tried on CPUs alone, part by part, each under 8 minutes.

``tools/dev/gpu_check.sh`` runs this on a machine with PyTorch and no network. A part
that passed is not run again, so an interrupted check goes on where it was; one that
failed or lacked a package is tried again. Results are one JSON file a part.

Examples::

    tools/dev/gpu_check.sh                        # all parts, the op first
    tools/dev/gpu_check.sh --only op_tests op
    tools/dev/gpu_check.sh --device cpu --quick   # the same code, on the CPU
    python -m tools.dev.gpu_check --show          # what was found so far, as Markdown
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.dev.gpu_check import page
from tools.dev.gpu_check.parts import PARTS, Part

ROOT = Path(__file__).resolve().parents[3]
OUT = Path('work_dirs/gpu_check')
LIMIT = 470  # seconds; some machines end a command after 8 minutes


def main(argv: Sequence[str] | None = None) -> int:
    """Run what did not pass yet; 1 if anything failed."""
    args = parse_args(argv)
    folder = args.out / f'{args.device}{"-quick" if args.quick else ""}'
    folder.mkdir(parents=True, exist_ok=True)
    if args.show or args.docs:
        text = page.text_of(folder, PARTS)
        if args.docs:
            page.put(args.docs, text)
        print(text)
        return 0
    if not can_use(args.device):
        print(
            'gpu_check: torch sees no GPU; expected one. Look at nvidia-smi and at '
            'CUDA_VISIBLE_DEVICES, or try the code alone: --device cpu --quick',
            file=sys.stderr,
        )
        return 2
    found = {}
    for name in args.only:
        earlier = page.read(folder, name)
        if earlier.get('status') == 'passed' and not args.again:
            print(f'{name}: passed before', flush=True)
            found[name] = earlier
            continue
        found[name] = run_part(name, PARTS[name], args.device, folder, args.quick)
        shown = {k: v for k, v in found[name].items() if k in ('status', 'why')}
        print(f'{name}: {shown}', flush=True)
    return int(any(one['status'] == 'failed' for one in found.values()))


def can_use(device: str) -> bool:
    """Whether torch, asked in a process of its own, has the device."""
    ask = 'import torch; raise SystemExit(not torch.cuda.is_available())'
    return (
        device == 'cpu' or subprocess.run([sys.executable, '-c', ask]).returncode == 0
    )


def run_part(
    name: str, part: Part, device: str, folder: Path, quick: bool
) -> dict[str, Any]:
    """Run a part in a process of its own, and write what came of it."""
    print(f'{name}: {part.title}', flush=True)
    lack = lacking(part.needs, device)
    record: dict[str, Any]
    if lack:
        record = {'status': 'not run', 'why': lack}
    else:
        record = carried_out(name, part, device, folder, quick)
    record |= {'part': name, 'device': device, 'quick': quick}
    (folder / f'{name}.json').write_text(json.dumps(record, indent=1) + '\n')
    return record


def lacking(needs: Sequence[str], device: str) -> str:
    """What a part cannot do without and is absent, or lacks something itself."""
    absent = [name for name in needs if importlib.util.find_spec(name) is None]
    if absent:
        return f'needs {" and ".join(absent)}'
    done = subprocess.run(
        [sys.executable, '-c', f'import {", ".join(needs)}' if needs else ''],
        cwd=ROOT,
        env=environment(device),
        capture_output=True,
        text=True,
    )
    said = done.stderr.strip().splitlines() or ['']
    together = ', '.join(needs)
    return f'cannot import {together}: {said[-1]}' if done.returncode else ''


def carried_out(
    name: str, part: Part, device: str, folder: Path, quick: bool
) -> dict[str, Any]:
    """Run a part's command, for as long as it may take.

    Returns:
        dict[str, Any]: Its status, seconds, the end of its log, and what it found.
    """
    results, log = folder / f'{name}.results.json', folder / f'{name}.log'
    results.unlink(missing_ok=True)
    start = time.monotonic()
    with open(log, 'w') as file:
        process = subprocess.Popen(
            part.command(device, results.resolve(), quick),
            cwd=ROOT,
            env=environment(device),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its workers end with it
        )
        try:
            status: int | None = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    found = json.loads(results.read_text()) if results.is_file() else {}
    return {
        'status': 'passed' if status == 0 else 'failed',
        'seconds': round(time.monotonic() - start, 1),
        'results': found,
        'end_of_log': log.read_text(errors='replace').splitlines()[-30:],
        **explained(status, found),
    }


def explained(status: int | None, found: dict[str, Any]) -> dict[str, str]:
    """Say why it did not pass, where that is so."""
    if status is None:
        return {'why': f'took more than {LIMIT} seconds'}
    if status:
        return {'why': f'exit status {status}'}
    reasons = [found.get('not_run')]
    sections = found.get('sections') or []
    reasons += [section['not_run'] for section in sections]
    if any(reasons) and len(list(filter(None, reasons))) >= max(1, len(sections)):
        return {'status': 'not run', 'why': '; '.join(filter(None, reasons))}
    return {}


def environment(device: str) -> dict[str, str]:
    """Of a part: on the CPU Triton's kernels are interpreted."""
    on_cpu = {'CUDA_VISIBLE_DEVICES': '', 'TRITON_INTERPRET': '1'}
    return {**os.environ, **(on_cpu if device == 'cpu' else {})}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='tools/dev/gpu_check.sh',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=PARTS,
        default=list(PARTS),
        metavar='PART',
        help=f'some of {", ".join(PARTS)}',
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cuda')
    parser.add_argument(
        '--quick', action='store_true', help='minutes, figures that mean nothing'
    )
    parser.add_argument(
        '--again', action='store_true', help='run parts that passed, too'
    )
    parser.add_argument('--out', type=Path, default=OUT, help='folder (%(default)s)')
    parser.add_argument(
        '--show', action='store_true', help='print what was found, run nothing'
    )
    parser.add_argument(
        '--docs',
        nargs='?',
        type=Path,
        const=ROOT / page.PAGE,
        metavar='PAGE',
        help='put what was found into a page, by default that of the benchmark',
    )
    args = parser.parse_args(argv)
    if args.docs and (args.quick or args.device == 'cpu'):
        parser.error('--docs takes what a GPU was asked, without --quick.')
    return args


if __name__ == '__main__':
    raise SystemExit(main())
