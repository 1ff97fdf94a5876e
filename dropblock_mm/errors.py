"""The family of refusals: what a user typed, or gave, cannot be used.

Each is also the built-in error that Python's users expect there, so that
``except ValueError`` works as ever. A command ends with the message alone where it
meets one of the family; whatever else is raised is a bug and keeps its traceback.
"""

from __future__ import annotations


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
