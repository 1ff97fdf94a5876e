"""Which torch an environment has, and whether that works."""

import json
import subprocess

from tools.dev.environment.machine import SetUpError
from tools.dev.environment.steps import Steps

# FORCE_CUDA=1 is how mmcv is told to build for a GPU that another machine has.
PROBE_TORCH = """
import json, os, sys, torch
from torch.utils.cpp_extension import CUDA_HOME
print(json.dumps(dict(torch=torch.__version__, gpu=torch.cuda.is_available(),
                      forced=os.environ.get('FORCE_CUDA') == '1',
                      cuda=torch.version.cuda, cuda_home=CUDA_HOME,
                      python=sys.implementation.cache_tag)))
"""

# By what pip goes by: files without it are what an interrupted pip left, and it writes
# them again.
PROBE_VERSION = """
from importlib.metadata import PackageNotFoundError, version
try:
    print(version('torch').partition('+')[0])
except PackageNotFoundError:
    pass
"""


def has_torch(steps: Steps, pin: str) -> bool:
    """Whether pip would leave torch as it is.

    Args:
        steps (Steps): Whose environment.
        pin (str): E.g. 'torch==2.14.1'.

    Raises:
        SetUpError: It would, and torch does not work.
    """
    if version(steps) != pin.partition('==')[2]:
        return False
    said = steps.ask('import torch')
    if said.returncode and not lacks_a_package(steps):
        raise broken(steps, said)
    return True


def version(steps: Steps) -> str:
    """The torch that pip sees; '' if it sees none."""
    return steps.ask(PROBE_VERSION).stdout.strip()


def lacks_a_package(steps: Steps) -> bool:
    """Whether pip misses one that torch asks for, and so will install it."""
    lines = steps.ask_pip('check').stdout.splitlines()
    return any(line.startswith('torch ') for line in lines)


def probe_torch(steps: Steps) -> dict:
    """What mmcv would be built for."""
    said = steps.ask(PROBE_TORCH)
    if said.returncode:
        raise broken(steps, said)
    return json.loads(said.stdout.splitlines()[-1])


def broken(steps: Steps, said: subprocess.CompletedProcess[str]) -> SetUpError:
    """The refusal of a torch that is not there, or is there by half."""
    why = (said.stderr.strip().splitlines() or ['it said nothing'])[-1]
    torch = '=='.join(filter(None, ('torch', version(steps))))
    return SetUpError(
        f'torch cannot be imported in {steps.venv} ({why}); expected it to work. '
        f'Install it again: {steps.venv}/bin/python -m pip install --force-reinstall '
        f'{torch}, or remove {steps.venv} and run this again.'
    )
