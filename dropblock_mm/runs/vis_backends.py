"""Names the backend of the visualizer that cannot start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from mmengine.config import Config
from mmengine.visualization import BaseVisBackend

from dropblock_mm.errors import MissingPackageError, RefusedError, RefusedStateError
from dropblock_mm.runs.checkpoints.whole_files import is_disk_full
from dropblock_mm.runs.type_names import bare_name, type_name


@contextmanager
def naming_failed_backend(cfg: Config) -> Iterator[None]:
    """Put what a backend raises while a Runner is built in one message.

    A Runner gives its config to all backends when it is built, and with that they
    connect: to Weights & Biases, to MLflow's store, to a folder. What can go wrong
    there are as many classes of errors as there are services.

    Args:
        cfg (Config): The whole config.

    Raises:
        MissingPackageError: The service's package is not installed.
        RefusedStateError: Whatever else the backend raised, in its own words; but a
            full disk is no fault of a backend, and passes.
    """
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:
        backend = _backend_in(error.__traceback__)
        if backend is None or is_disk_full(error):
            raise
        kind = type(backend).__name__
        key = _key(cfg, kind)
        text = ' '.join(str(error).split()) or type(error).__name__
        end = '' if text.endswith(('.', '!', '?')) else '.'
        if isinstance(error, ImportError):
            raise MissingPackageError(
                f'{key} needs a package that cannot be imported: {text}{end} Install '
                'it, or leave the backend out.'
            ) from error
        raise RefusedStateError(
            f'{key} cannot start. {type(error).__name__}: {text}{end} Correct what it '
            'asks for, or leave the backend out: LocalVisBackend writes the same '
            'scalars to files.'
        ) from error


def _backend_in(trace: TracebackType | None) -> BaseVisBackend | None:
    """The backend whose method was running, whatever it called."""
    while trace:
        caller = trace.tb_frame.f_locals.get('self')
        if isinstance(caller, BaseVisBackend):
            return caller
        trace = trace.tb_next
    return None


def _key(cfg: Config, kind: str) -> str:
    """Where the config has it, as the user would type it."""
    visualizer = cfg.get('visualizer')
    listed = visualizer.get('vis_backends') if isinstance(visualizer, dict) else None
    for index, part in enumerate(listed or ()):
        if isinstance(part, dict) and bare_name(type_name(part)) == kind:
            return f'visualizer.vis_backends.{index}.type={part["type"]!r}'
    return f'the visualizer backend {kind}'
