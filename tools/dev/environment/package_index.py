"""Whether pip can reach what it will download, and how much that is."""

import json
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tools.dev.environment.machine import SetUpError
from tools.dev.environment.steps import Steps

# With pip's downloads and its cache, which exist at the same time for a while.
CUDA_GB = 12
PROXIES = ('HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'PIP_PROXY')
PROXY_SECONDS, INDEX_SECONDS = 5, 20


def pinned(file: Path, name: str) -> str:
    """The pin of a package in a requirements file, e.g. 'torch==2.14.1'."""
    match = re.search(rf'^{name}==\S+', file.read_text(), re.MULTILINE)
    if match is None:
        raise SetUpError(f'{file} has no line "{name}==VERSION"; expected one. Add it.')
    return match.group()


def check_proxy() -> None:
    """Stop if a proxy is named that does not answer: pip would try for minutes."""
    for name in PROXIES:
        address = os.environ.get(name)
        if not address:
            continue
        parts = urlsplit(address if '//' in address else f'//{address}')
        try:
            standard = 443 if parts.scheme == 'https' else 80
            place = (parts.hostname or '', parts.port or standard)
            socket.create_connection(place, timeout=PROXY_SECONDS).close()
        except (OSError, ValueError) as error:
            raise SetUpError(
                f'the proxy {name}={without_password(address)!r} does not answer '
                f'({error}); expected one that pip can use. Correct the variable, or '
                f'leave it out: env -u {name} make ...'
            ) from error


def without_password(address: str) -> str:
    """A proxy's address, fit for a log."""
    return re.sub(r'(//)?[^/@]*@', r'\1***@', address)


def check_index(steps: Steps, torch: str, place: Path) -> None:
    """Ask the package index for torch, without a download.

    Args:
        steps (Steps): Whose pip asks.
        torch (str): The pin.
        place (Path): Where the environment is.

    Raises:
        SetUpError: pip cannot reach an index that has it, or its build for CUDA
            does not fit the disk.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / 'report.json'
        once = ['--retries', '0', '--timeout', str(INDEX_SECONDS)]
        dry = ['install', '--dry-run', '--no-deps', '--report', str(report)]
        said = steps.ask_pip(*dry, *once, torch)
        if said.returncode:
            raise SetUpError(
                f'pip finds no {torch}; expected a package index that has it, for '
                f'Python 3.10 to 3.12. Look at the network, at the proxy, and at '
                f'`pip config list`. pip said:\n    '
                f'{first_clues(places(said.stdout) + said.stderr)}'
            )
        about = json.loads(report.read_text())['install']
    needs = [
        need for item in about for need in item['metadata'].get('requires_dist', [])
    ]
    if any(re.match('nvidia|cuda', need) for need in needs):
        check_disk(place, CUDA_GB, f'{torch}, a build for CUDA')


def places(text: str) -> str:
    """Where pip looked; it leaves passwords out itself."""
    return ''.join(re.findall(r'^Looking in .*\n', text, re.MULTILINE))


def first_clues(text: str) -> str:
    """The lines in which pip says why, rather than what it did next."""
    lines = [line.strip()[:300] for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith('WARNING: Location')]
    return '\n    '.join((telling or lines)[:4])


def check_disk(place: Path, gigabytes: int, what: str) -> None:
    """Stop if too little is free for ``what``."""
    free = shutil.disk_usage(place).free / 1e9
    if free < gigabytes:
        raise SetUpError(
            f'{free:.1f} GB are free at {place}; expected at least {gigabytes} GB for '
            f'{what}. Free some, clone elsewhere, or name a place that has the build '
            'for the CPU: PIP_EXTRA_INDEX_URL=... make ...'
        )
