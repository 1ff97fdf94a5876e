"""AmoebaNet's classifier, with the auxiliary one that training has beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from mmpretrain.models import LinearClsHead
from torch import Tensor, nn
from torch.nn import functional

from dropblock_mm.errors import RefusedTypeError, RefusedValueError
from dropblock_mm.models.backbones.amoebanet.initialisation import initialise
from dropblock_mm.models.backbones.amoebanet.stem import stack_sides
from dropblock_mm.ops.arguments import check_count, is_number, reject_unknown

_NORM = {'type': 'BN', 'momentum': 0.1, 'eps': 1e-5}
_LOSS = {'type': 'LabelSmoothLoss', 'label_smooth_val': 0.1, 'mode': 'original'}
_AUXILIARY = {'in_channels': 2048, 'image_size': 331, 'loss_weight': 0.4}
# The authors take 0.4 of 128 and of 768.
_WIDTHS = (51, 307)
_POOLED, _STRIDE = 5, 3


class AuxiliaryClassifier(nn.Module):
    """A second classifier, half way up, which only training has.

    Average pooling, 1x1 convolution, a convolution as large as the map, dense layer;
    both convolutions with batch norm and ReLU.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the map, the output of stack 1.
        image_size: Side of the images in pixels, which says how large the map is.
        norm: Config of the norms.

    Raises:
        ValueError: If images of that size have maps too small to pool.
    """

    def __init__(
        self, num_classes: int, in_channels: int, image_size: int, norm: dict[str, Any]
    ) -> None:
        super().__init__()
        self.image_size = image_size
        _, self.map_side, _ = stack_sides(image_size)
        side = (self.map_side - _POOLED) // _STRIDE + 1
        if side < 1:
            raise RefusedValueError(
                f'image_size={image_size} of the auxiliary classifier: its map has '
                f'{self.map_side}x{self.map_side} units, and {_POOLED} '
                'are pooled. Train on images of 66 pixels at least, or set '
                'auxiliary=None.'
            )
        narrow, wide = _WIDTHS
        self.conv_narrow = nn.Conv2d(in_channels, narrow, 1, bias=False)
        self.norm_narrow = build_norm_layer(norm, narrow)[1]
        self.conv_whole = nn.Conv2d(narrow, wide, side, bias=False)
        self.norm_whole = build_norm_layer(norm, wide)[1]
        self.fc = nn.Linear(wide, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits, Tensor[N, num_classes], of Tensor[N, C, H, W].

        Raises:
            ValueError: If the map is not that of images of ``image_size``.
        """
        if tuple(x.shape[2:]) != (self.map_side, self.map_side):
            raise RefusedValueError(
                f'the auxiliary classifier of image_size={self.image_size} reads maps '
                f'of {self.map_side}x{self.map_side} units, and got '
                f'{"x".join(map(str, x.shape[2:]))}. Set image_size to the side of '
                'the images that are trained on.'
            )
        x = functional.avg_pool2d(functional.relu(x), _POOLED, _STRIDE)
        x = functional.relu(self.norm_narrow(self.conv_narrow(x)))
        x = functional.relu(self.norm_whole(self.conv_whole(x)))
        return self.fc(x.flatten(1))


class AmoebaNetHead(LinearClsHead):
    """ReLU, average over the map, dropout, dense layer; in training a second one.

    It needs no neck: give the backbone ``out_indices=(1, 2)``, and the auxiliary
    classifier reads the first of the two maps. Without it ``out_indices=(2,)`` will
    do. It works in training alone, and logs its loss as ``loss_aux``.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the last map.
        dropout_ratio: Rate of dropping the dense layer's inputs.
        auxiliary: Of the auxiliary classifier: ``in_channels``, ``image_size`` and
            ``loss_weight``; what is left out is as for AmoebaNet-B (6, 256) and 331
            pixels. None for no such classifier.
        norm_cfg: Config of its norms.
        loss: Config of the loss of both; by default cross-entropy with smoothed
            labels, as the authors train.
        init_cfg: How to initialise; by default as the authors' code does.
        options: What else mmpretrain's ``LinearClsHead`` takes.

    Raises:
        TypeError: If an argument is of the wrong type, or unknown.
        ValueError: If an argument is outside its range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 4096,
        *,
        dropout_ratio: float = 0.5,
        auxiliary: dict[str, Any] | None = _AUXILIARY,
        norm_cfg: dict[str, Any] = _NORM,
        loss: dict[str, Any] = _LOSS,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        # Without a number of classes of its own the loss takes that of the logits.
        super().__init__(
            check_count(num_classes, 'num_classes', 'ImageNet has 1000.'),
            check_count(in_channels, 'in_channels', "Give the last map's channels."),
            init_cfg,
            loss=loss,
            **options,
        )
        self.dropout = nn.Dropout(_checked_ratio(dropout_ratio))
        self.auxiliary: AuxiliaryClassifier | None = None
        if auxiliary is not None:
            settings = _checked_auxiliary(auxiliary)
            self.auxiliary_weight = settings.pop('loss_weight')
            self.auxiliary = AuxiliaryClassifier(num_classes, norm=norm_cfg, **settings)
        initialise(self)

    def pre_logits(self, feats: Sequence[Tensor]) -> Tensor:
        """Compute what the dense layer reads, Tensor[N, C].

        Args:
            feats: The backbone's maps, the last one Tensor[N, C, H, W].
        """
        return self.dropout(functional.relu(feats[-1]).mean(dim=(2, 3)))

    def loss(
        self, feats: Sequence[Tensor], data_samples: list[Any], **kwargs: Any
    ) -> dict[str, Tensor]:
        """Compute the losses; see mmpretrain's ``ClsHead``.

        Raises:
            ValueError: If the auxiliary classifier has no map to read.
        """
        losses = super().loss(feats, data_samples, **kwargs)
        if self.auxiliary is not None:
            if len(feats) < 2:
                raise RefusedValueError(
                    'AmoebaNetHead got one map, and its auxiliary classifier reads '
                    'another. Give the backbone out_indices=(1, 2), or set '
                    'auxiliary=None.'
                )
            own = self._get_loss(self.auxiliary(feats[-2]), data_samples, **kwargs)
            losses['loss_aux'] = self.auxiliary_weight * own['loss']
        return losses


def _checked_ratio(ratio: Any) -> float:
    if not is_number(ratio) or not 0 <= ratio < 1:
        raise RefusedValueError(
            f'dropout_ratio={ratio!r} of AmoebaNetHead is no number in [0, 1). It is '
            'the rate of dropping; the authors have 0.5.'
        )
    return float(ratio)


def _checked_auxiliary(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RefusedTypeError(
            f'auxiliary={given!r} of AmoebaNetHead is neither a dict, such as '
            'dict(in_channels=2048, image_size=331), nor None.'
        )
    reject_unknown(given, _AUXILIARY, 'auxiliary')
    settings: dict[str, Any] = {**_AUXILIARY, **given}
    for name in ('in_channels', 'image_size'):
        check_count(settings[name], name, f'auxiliary.{name} was {_AUXILIARY[name]}.')
    if not is_number(settings['loss_weight']):
        raise RefusedTypeError(
            f'loss_weight={settings["loss_weight"]!r} of the auxiliary classifier is '
            'not a number. The authors have 0.4.'
        )
    return settings
