"""How many bytes of tensors are alive at once, on any device."""

from __future__ import annotations

from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Counts what operations allocate while it is entered, and what is freed.

    What was there before is not counted. Operations that allocate for a moment and
    free within themselves do not show.

    Attributes:
        peak: The most bytes that were alive after an operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._earlier: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, and count its new storages."""
        for tensor in tree_leaves((args, kwargs)):
            self._note(tensor, new=False)
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            self._note(tensor, new=True)
        self._alive = {
            key: (reference, size)
            for key, (reference, size) in self._alive.items()
            if not reference.expired()
        }
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result

    def _note(self, tensor: Any, new: bool) -> None:
        if not isinstance(tensor, torch.Tensor):
            return
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        if reference.cdata in self._alive or reference.cdata in self._earlier:
            return
        if new:
            self._alive[reference.cdata] = (
                reference,
                tensor.untyped_storage().nbytes(),
            )
        else:
            self._earlier.add(reference.cdata)
