"""To what size mmseg pads the images of a batch: it wants to be told in one way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.type_names import type_name

_WAYS = ('size', 'size_divisor')
_KEY = 'model.data_preprocessor'


def check_padding(cfg: Config, *, trains: bool) -> None:
    """Refuse a preprocessor of mmseg's that has both ways to tell a size, or neither.

    It would end in an assertion at the first batch (mmseg 1.2.2, ``stack_batch``), that
    of an evaluation after hours of training.

    Args:
        cfg (Config): The run's.
        trains: Whether it trains; what is padded in an evaluation is told apart.

    Raises:
        RefusedValueError: It has both, or neither.
    """
    preprocessor = cfg.model.get('data_preprocessor') or {}
    if type_name(preprocessor) != 'SegDataPreProcessor':
        return
    if trains:
        _check_way(preprocessor, _KEY)
    if preprocessor.get('test_cfg'):  # without one nothing is padded
        _check_way(preprocessor['test_cfg'], f'{_KEY}.test_cfg')


def _check_way(settings: Mapping[str, Any], key: str) -> None:
    given = [way for way in _WAYS if settings.get(way) is not None]
    if len(given) == 1:
        return
    found = ' and '.join(f'{way}={settings[way]!r}' for way in given)
    raise RefusedValueError(
        f'{key} has {found or "neither size nor size_divisor"}, and mmseg pads a batch '
        'by exactly one of them: size=(height, width), to which all images are padded, '
        'or size_divisor, which sides become a multiple of. '
        + ('Set one of them to None.' if given else 'Give one of them.')
    )
