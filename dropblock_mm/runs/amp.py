"""Mixed precision, on the CPU too.

MMEngine's ``AmpOptimWrapper`` refuses the CPU. Torch can compute in bfloat16 there,
and since 2.3 in float16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import (
    get_device,
    is_cuda_available,
    is_mlu_available,
    is_musa_available,
    is_npu_available,
)
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.utils import digit_version
from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.config_dicts import dicts_in
from dropblock_mm.runs.type_names import type_name

_DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


def has_accelerator() -> bool:
    """Tell whether there is a device that MMEngine trains on other than the CPU."""
    return (
        is_cuda_available()
        or is_npu_available()
        or is_mlu_available()
        or is_musa_available()
    )


def enable_amp(cfg: Config) -> None:
    """Turn on mixed precision, unless the config already did in its own way.

    Args:
        cfg (Config): Gets an ``AmpOptimWrapper``. Its ``optim_wrapper.dtype``,
            'float16' or 'bfloat16', stands.

    Raises:
        ValueError: The optimizer wrapper is another, or there is no device for it.
    """
    wrapper = cfg.get('optim_wrapper')
    kind = type_name(wrapper or {}) or 'OptimWrapper'
    if not kind.endswith('AmpOptimWrapper'):
        _check_replaceable(wrapper, kind)
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')
    fit_amp_to_device(cfg)


def _check_replaceable(wrapper: Any, kind: str) -> None:
    if not wrapper or kind != 'OptimWrapper':
        raise RefusedValueError(
            f"--amp replaces optim_wrapper.type='OptimWrapper', but the config has "
            f'{kind if wrapper else "no optim_wrapper"}. Leave --amp out, or set up '
            'mixed precision in the config.'
        )


def fit_amp_to_device(cfg: Config) -> None:
    """Have mixed precision work where there is no GPU.

    Args:
        cfg (Config): If it has an ``AmpOptimWrapper``, that becomes this package's.

    Raises:
        ValueError: There is no device for it, or torch is too old.
    """
    wrapper: Any = cfg.get('optim_wrapper') or {}
    if type_name(wrapper) != 'AmpOptimWrapper' or has_accelerator():
        return
    if get_device() != 'cpu':
        raise RefusedValueError(
            f'--amp, or optim_wrapper.type={wrapper.type!r}, works on GPUs and on the '
            f'CPU, but the device is {get_device()!r}. Leave it out to train in fp32.'
        )
    wrapper.type = 'CpuAmpOptimWrapper'
    wrapper.setdefault('dtype', 'bfloat16')
    wrapper.pop('use_fsdp', None)
    _check_dtype(wrapper.dtype)
    _refuse_proposals(cfg)


def _refuse_proposals(cfg: Config) -> None:
    """Refuse two-stage detectors, which suppress boxes of lower precision in training.

    mmdet 3.3.0 makes the anchors of proposals in the type of the scores, and mmcv 2.1.0
    suppresses in float32 alone on the CPU; it ends the first iteration.
    """
    for key, part in dicts_in(cfg.get('model'), 'model.'):
        if key.endswith('rpn_head.') and type_name(part) == 'RPNHead':
            raise RefusedValueError(
                f'--amp, or optim_wrapper.type={cfg.optim_wrapper.type!r}, on the CPU: '
                f"{key}type='RPNHead' suppresses its proposals while it trains, and "
                "mmcv's nms takes float32 alone there. Leave mixed precision out, or "
                'train on a GPU.'
            )


def _check_dtype(dtype: Any) -> None:
    name = str(dtype).removeprefix('torch.')
    if name not in _DTYPES:
        raise RefusedValueError(
            f'optim_wrapper.dtype={dtype!r} is not one of '
            f'{", ".join(map(repr, _DTYPES))}.'
        )
    if name == 'float16' and digit_version(torch.__version__) < digit_version('2.3.0'):
        raise RefusedValueError(
            f'optim_wrapper.dtype={dtype!r} on the CPU needs torch 2.3 or later, this '
            f"is {torch.__version__}. Take 'bfloat16'."
        )


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` for the CPU.

    Args:
        loss_scale: 'dynamic', a constant, or arguments of torch's ``GradScaler``.
            Only float16 needs and uses it.
        dtype: 'bfloat16', as torch's own default on the CPU, or 'float16'.
        **wrapper: Arguments of ``OptimWrapper``, which rejects unknown ones.
    """

    def __init__(
        self,
        loss_scale: str | float | Mapping[str, Any] = 'dynamic',
        dtype: str | torch.dtype = 'bfloat16',
        **wrapper: Any,
    ) -> None:
        _check_dtype(dtype)
        OptimWrapper.__init__(self, **wrapper)  # AmpOptimWrapper's asks for a GPU
        self.cast_dtype = _DTYPES[str(dtype).removeprefix('torch.')]
        self._scale_update_param = loss_scale if isinstance(loss_scale, float) else None
        self.loss_scaler = _scaler(loss_scale, self.cast_dtype)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute what follows in the lower precision."""
        with (
            OptimWrapper.optim_context(self, model),
            torch.autocast('cpu', dtype=self.cast_dtype),
        ):
            yield


def _scaler(loss_scale: Any, dtype: torch.dtype) -> Any:
    """Return torch's scaler; bfloat16 has the range of float32 and needs none."""
    if not hasattr(torch.amp, 'GradScaler'):  # before torch 2.3: bfloat16 only
        return torch.cuda.amp.GradScaler(enabled=False)
    if dtype is torch.bfloat16:
        return torch.amp.GradScaler('cpu', enabled=False)
    settings = loss_scale if isinstance(loss_scale, Mapping) else {}
    if isinstance(loss_scale, float):
        settings = {'init_scale': loss_scale}
    return torch.amp.GradScaler('cpu', **settings)
