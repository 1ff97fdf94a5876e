"""The compilers' operators in C, given to torch by the stable C interface of libtorch.

Neither headers of torch nor a link to it are needed for that: its functions are looked
up in the library that is loaded, so one build does for all versions of torch.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.ops.cpu.native import loops, torchs_library
from dropblock_mm.ops.plan import BlockGeometry, shares_by_gaps

# As operator.h has them, and in its order.
_FUNCTIONS = (
    'torch_list_size',
    'torch_list_get_item',
    'torch_delete_list',
    'aoti_torch_get_dtype',
    'aoti_torch_get_data_ptr',
    'aoti_torch_empty_strided',
    'aoti_torch_delete_tensor_object',
    'torch_get_num_threads',
    'aoti_torch_check',
    'aoti_torch_dtype_float32',
    'aoti_torch_dtype_int64',
    'aoti_torch_dtype_uint8',
    'aoti_torch_device_type_cpu',
)
# The oldest with which the tests run; where the interface began, lists of sizes may
# not be in it. A version has 8 bits each of major, minor and patch, from the top.
_OLDEST = (2 << 56) + (13 << 48)


def give_to_torch(namespace: str, names: tuple[str, str]) -> bool:
    """Let operators that are defined run in C on the CPU.

    Args:
        namespace: Of both operators.
        names: Of the one that returns a mask and a count, and of that which returns
            the mask again.

    Returns:
        bool: Whether that was possible; nothing has changed if not.
    """
    library = torchs_library() if loops is not None else None
    if library is None:
        return False
    try:
        version = library.aoti_torch_abi_version
        version.restype = ctypes.c_uint64
        found = [getattr(library, name) for name in _FUNCTIONS]
        begin, register = (
            library.aoti_torch_library_init_impl,
            library.torch_library_impl,
        )
    except AttributeError:
        return False
    if version() < _OLDEST:
        return False
    addresses = [ctypes.cast(function, ctypes.c_void_p).value for function in found]
    packed = struct.pack(f'{len(addresses)}P', *addresses)
    kernels = loops.use_torch(packed, packed_recipe)
    handle = ctypes.c_void_p()
    where = (namespace.encode(), b'CPU', b'operators.py', ctypes.c_uint32(0))
    _check(begin(*where, ctypes.byref(handle)))
    for name, kernel in zip(names, kernels, strict=True):
        address, oldest = ctypes.c_void_p(kernel), ctypes.c_uint64(_OLDEST)
        _check(register(handle, name.encode(), address, oldest))
    return True


def packed_recipe(shape: Sequence[int], block: Sequence[int]) -> bytes:
    """Return what the operators need to know of a mask.

    Args:
        shape: (N, C, *size), at least 1 each.
        block: Sides of a block, from 1 to those of the map.

    Raises:
        ValueError: If these are outside their range; torch says it.
    """
    sizes = tuple(shape[2:])
    if min(shape) < 1:
        raise RefusedValueError(f'a mask of shape {tuple(shape)} has no units.')
    if any(not 1 <= side <= size for side, size in zip(block, sizes, strict=True)):
        raise RefusedValueError(f'blocks of {block} do not fit maps of {sizes}.')
    geometry = BlockGeometry(tuple(shape), tuple(block))
    return geometry.packed_layout + struct.pack('2d', *shares_by_gaps(geometry))


def _check(error: int) -> None:
    if error:
        raise RuntimeError('torch refused an operator in C; what it says stands above.')
