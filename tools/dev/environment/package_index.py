"""Whether pip can reach what it will download, and how much that is."""

import json
import os
import re
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tools.dev.environment.disk import check_disk
from tools.dev.environment.machine import SetUpError
from tools.dev.environment.steps import Steps

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


def check_index(steps: Steps, pip: str, torch: str) -> None:
    """Ask the package index for torch, without a download where it can tell so.

    Args:
        steps (Steps): Whose pip asks.
        pip (str): The pin. What Python brings may be older, and would fetch all of
            torch to learn what it needs.
        torch (str): The pin.

    Raises:
        SetUpError: pip cannot reach an index that has it, or what comes with it does
            not fit the disk.
    """
    ask_index(steps, pip)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / 'report.json'
        # Of an index that does not serve metadata, the wheel's last part is enough.
        alone = ['--dry-run', '--no-deps', '--use-feature=fast-deps']
        ask_index(steps, torch, *alone, '--report', str(report))
        about = json.loads(report.read_text())['install']
    needs = [
        need for item in about for need in item['metadata'].get('requires_dist', [])
    ]
    has_cuda = any(re.match('nvidia|cuda', need) for need in needs)
    # What torch needs is taken to lie where torch does: to ask would be to fetch it.
    urls = [item['download_info']['url'] for item in about]
    lies_here = all(url.startswith('file:') for url in urls)
    folders = [] if lies_here else download_folders(steps)
    check_disk(steps.venv, 'CUDA' if has_cuda else 'CPU', folders)


def ask_index(steps: Steps, pin: str, *options: str) -> None:
    """Have pip install a package, or see if it could, and ask no server twice."""
    once = ['--retries', '0', '--timeout', str(INDEX_SECONDS)]
    said = steps.ask_pip('install', *options, *once, pin)
    if said.returncode:
        raise SetUpError(
            f'pip finds no {pin}; expected a package index that has it, for '
            f'Python 3.10 to 3.12. Look at the network, at the proxy, and at '
            f'`pip config list`. pip said:\n    '
            f'{first_clues(places(said.stdout) + said.stderr)}'
        )


def download_folders(steps: Steps) -> list[Path]:
    """Where pip puts each file that it fetches: twice, unless its cache is off."""
    said = steps.ask_pip('cache', 'dir')
    cache = [] if said.returncode else [Path(said.stdout.strip())]
    return [Path(tempfile.gettempdir()), *cache]


def places(text: str) -> str:
    """Where pip looked; it leaves passwords out itself."""
    return ''.join(re.findall(r'^Looking in .*\n', text, re.MULTILINE))


def first_clues(text: str) -> str:
    """The lines in which pip says why, rather than what it did next."""
    lines = [line.strip()[:300] for line in text.splitlines() if line.strip()]
    noise = ('WARNING: Location', '[notice]')
    telling = [line for line in lines if not line.startswith(noise)]
    return '\n    '.join((telling or lines)[:4])
