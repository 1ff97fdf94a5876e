"""The head of the paper's segmentation model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import (
    ConvModule,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
)
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.models.decode_heads.levels import check_index, check_same_channels
from dropblock_mm.ops.arguments import check_count, check_flag

# TensorFlow's decay of 0.997 is a momentum of 0.003 in PyTorch.
_NORM = {'type': 'BN', 'momentum': 0.003, 'eps': 1e-4}
_LOSS = {'type': 'CrossEntropyLoss', 'avg_non_ignore': True}
_INIT = {'type': 'Normal', 'layer': 'Conv2d', 'std': 0.01}


class RetinaSegHead(BaseDecodeHead):
    """RetinaNet's head, made to label pixels (section 4.4 of the paper).

    It is ``segmentation_class_net`` and what follows it in the authors' code
    (tensorflow/tpu, models/official/retinanet/retinanet_architecture.py)::

        P3, P4, P5, each:  num_convs x (conv3x3 + BN + ReLU), conv3x3
        fused:             resize to P3, sum, BN, ReLU, conv3x3 to the classes

    The levels share their convolutions, and each has batch norms of its own. All
    other maps are resized bilinearly to the first, whose stride the logits have.
    The loss is taken at that stride, against every ``stride``-th label in both
    directions: from the first on with ``align_corners``, as in the authors' code, and
    from the middle of the first ``stride`` labels without, where the logits lie then.

    ``targets=[dict(module='decode_head')]`` injects DropBlock after every batch norm
    of the convolutions, at each level with a mask of its own.

    A shared weight is found once under each level, as in mmdet's RetinaSepBNHead:
    an optimizer with ``paramwise_cfg`` needs ``bypass_duplicate=True`` in it.

    Args:
        in_channels: Channels of each input, the same for all: they share weights.
        channels: Channels of the convolutions.
        num_convs: Number of conv-norm-activations at each level, at least 1.
        stride: Stride of the first input with respect to the image.
        upsample_loss: Take the loss at the label's size, with bilinearly upsampled
            logits, as mmseg's own heads do.
        in_index: Which of the neck's maps to take; all of them if None.
        dropout_ratio: Rate of mmseg's Dropout2d before the classifier. The recipe
            has none.
        norm_cfg: Config of the norms, by default the recipe's.
        loss_decode: Config of the loss or losses; by default cross-entropy, divided
            by the number of pixels that are not ignored.
        init_cfg: How to initialise; by default normally, with std 0.01.
        options: ``num_classes``, which is required, and whatever else mmseg's
            ``BaseDecodeHead`` takes: align_corners, sampler, ignore_index, ...
            The authors' code resizes with ``align_corners=True``, which fits images
            of 513x513.

    Raises:
        TypeError: If an argument is of the wrong type, or unknown.
        ValueError: If an argument is outside its range, or the inputs differ in
            channels.

    Examples:
        >>> decode_head = dict(
        ...     type='dropblock_mm.RetinaSegHead',
        ...     in_channels=[256, 256, 256],
        ...     num_classes=21,
        ...     align_corners=True)
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 256,
        *,
        num_convs: int = 3,
        stride: int = 8,
        upsample_loss: bool = False,
        in_index: Sequence[int] | None = None,
        dropout_ratio: float = 0.0,
        norm_cfg: dict[str, Any] | None = _NORM,
        loss_decode: dict[str, Any] | Sequence[dict[str, Any]] = _LOSS,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = _INIT,
        **options: Any,
    ) -> None:
        check_same_channels(in_channels)
        in_index = list(range(len(in_channels))) if in_index is None else in_index
        check_index(in_index, levels=len(in_channels))
        self.num_convs = check_count(num_convs, 'num_convs', 'The recipe has 3.')
        self.stride = check_count(
            stride, 'stride', 'Give the stride of the first input: 8 for P3.'
        )
        self.upsample_loss = check_flag(upsample_loss, 'upsample_loss')
        super().__init__(
            list(in_channels),
            channels,
            in_index=list(in_index),
            input_transform='multiple_select',
            dropout_ratio=dropout_ratio,
            norm_cfg=norm_cfg,
            loss_decode=loss_decode,
            init_cfg=init_cfg,
            **options,
        )
        self._build_layers()

    def _build_layers(self) -> None:
        first, *others = [self._build_tower() for _ in self.in_channels]
        for tower in others:
            for unit, shared in zip(tower, first, strict=True):
                unit.conv = shared.conv
        self.towers = nn.ModuleList([first, *others])
        # No bias: the fused map's norm would take it away again.
        self.conv_final = build_conv_layer(
            self.conv_cfg,
            self.channels,
            self.channels,
            3,
            padding=1,
            bias=self.norm_cfg is None,
        )
        self.fused_norm = (
            nn.Identity()
            if self.norm_cfg is None
            else build_norm_layer(self.norm_cfg, self.channels)[1]
        )
        self.activate = build_activation_layer(self.act_cfg)
        self.conv_seg = nn.Conv2d(self.channels, self.out_channels, 3, padding=1)

    def _build_tower(self) -> nn.Sequential:
        """Build the conv-norm-activations of one level."""
        widths = [self.in_channels[0], *[self.channels] * self.num_convs]
        return nn.Sequential(
            *(
                ConvModule(
                    before,
                    after,
                    3,
                    padding=1,
                    conv_cfg=self.conv_cfg,
                    norm_cfg=self.norm_cfg,
                    act_cfg=self.act_cfg,
                )
                for before, after in itertools.pairwise(widths)
            )
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the logits.

        Args:
            inputs: The neck's maps, Tensor[N, C, H, W] each; those of ``in_index``
                are used, the first of them at ``stride``.

        Returns:
            Tensor[N, num_classes, H, W], of the size of the first input used.
        """
        maps = [
            self.conv_final(tower(x))
            for tower, x in zip(
                self.towers, self._transform_inputs(inputs), strict=True
            )
        ]
        fused = maps[0]
        for other in maps[1:]:
            fused = fused + resize(
                other,
                size=fused.shape[2:],
                mode='bilinear',
                align_corners=self.align_corners,
            )
        return self.cls_seg(self.activate(self.fused_norm(fused)))

    def loss_by_feat(
        self, seg_logits: Tensor, batch_data_samples: list[Any]
    ) -> dict[str, Tensor]:
        """Compute the losses; see mmseg's ``BaseDecodeHead``.

        Args:
            seg_logits: Tensor[N, num_classes, h, w].
            batch_data_samples: N SegDataSamples with labels of H x W.

        Raises:
            ValueError: If the logits have another stride than ``stride``.
        """
        labels = self._stack_batch_gt(batch_data_samples)
        if not self.upsample_loss and labels.shape[2:] != seg_logits.shape[2:]:
            raise RefusedValueError(
                f'stride={self.stride} of RetinaSegHead leaves '
                f'{tuple(labels.shape[2:])} labels for logits of '
                f'{tuple(seg_logits.shape[2:])}. Give the stride of its first input, '
                'or upsample_loss=True.'
            )
        return super().loss_by_feat(seg_logits, batch_data_samples)

    def _stack_batch_gt(self, batch_data_samples: list[Any]) -> Tensor:
        """Return the labels that the loss is taken against, Tensor[N, 1, h, w]."""
        labels = super()._stack_batch_gt(batch_data_samples)
        if self.upsample_loss:
            return labels
        return self._at_stride(self._at_stride(labels, dim=2), dim=3)

    def _at_stride(self, labels: Tensor, dim: int) -> Tensor:
        """Take the label nearest to each logit along one dimension.

        Resizing puts the first logit on the first pixel with ``align_corners``, and
        in the middle of the first ``stride`` pixels without.
        """
        size = labels.shape[dim]
        first = 0 if self.align_corners else self.stride // 2
        nearest = torch.arange(0, size, self.stride, device=labels.device) + first
        return labels.index_select(dim, nearest.clamp(max=size - 1))
