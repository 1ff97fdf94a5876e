"""The family of refusals: what a user typed, or gave, cannot be used.

Each is also the built-in error that Python's users expect there, so that
``except ValueError`` works as ever. A command ends with the message alone where it
meets one of the family; whatever else is raised is a bug and keeps its traceback.
"""

from __future__ import annotations

import re

_NO_OPERATOR = r'operator torchvision::\w+ does not exist'


class RefusedError(Exception):
    """A refusal, in words for the user: what was found, expected, and what to do."""


class RefusedValueError(RefusedError, ValueError):
    """A value outside its range, or values that do not go together."""


class RefusedTypeError(RefusedError, TypeError):
    """A value of the wrong type, or an argument that does not exist."""


class RefusedFileError(RefusedError, FileNotFoundError):
    """A file or folder that is not there, or is not what it should be."""


class RefusedStateError(RefusedError, RuntimeError):
    """Something asked for at a time, or in a mode, in which it cannot be done."""


class MissingPackageError(RefusedError, ModuleNotFoundError):
    """A package that is needed and not installed."""


def of_another_build(error: BaseException) -> RefusedStateError | None:
    """Name a torchvision that was built for another torch, if an error is of that.

    Its compiled part does not load then, torchvision says nothing of it, and whatever
    imports torchvision ends with an operator that does not exist.
    """
    text = str(error)
    if not (isinstance(error, RuntimeError) and re.search(_NO_OPERATOR, text)):
        return None
    return RefusedStateError(
        f'the torchvision that is installed ({_version("torchvision")}) was built for '
        f'another torch than {_version("torch")}, say the one for CUDA beside that for '
        f'the CPU ({text}). Install the two from one place, or remove torchvision if '
        'nothing needs it.'
    )


def _version(package: str) -> str:
    # Imported here: this module is imported by every command, also for its --help.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return 'of unknown version'
