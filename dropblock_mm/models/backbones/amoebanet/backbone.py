"""AmoebaNet, the network of the paper's Table 2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional

from dropblock_mm.errors import RefusedTypeError, RefusedValueError
from dropblock_mm.models.backbones.amoebanet.cells import Cell, Shape
from dropblock_mm.models.backbones.amoebanet.genotypes import GENOTYPES, Genotype
from dropblock_mm.models.backbones.amoebanet.initialisation import initialise
from dropblock_mm.models.backbones.amoebanet.stem import STEM_FACTORS, Stem
from dropblock_mm.ops.arguments import check_count, check_flag
from dropblock_mm.recomputation import recomputed
from dropblock_mm.registry import MODELS

# As the authors' flags set it: decay 0.9 is a momentum of 0.1 in PyTorch.
_NORM = {'type': 'BN', 'momentum': 0.1, 'eps': 1e-5}
NUM_STACKS = 3
LEAST_WIDTH = 8
_LEAST_SIDE = 19  # pixels: what the last reduction halves is then no single unit


@MODELS.register_module()
class AmoebaNet(BaseModule):
    r"""AmoebaNet (N, F) of Real et al. 2019, as in the authors' code for ImageNet.

    It is ``models/official/amoeba_net`` in tensorflow/tpu, which section 4.1.2 of the
    paper names::

        images       3x3 convolution of stride 2, batch norm
        stem         2 reduction cells, F / 4 and F / 2 channels
        stack 0      N normal cells, F
        stack 1      a reduction cell, N normal cells, 2 F
        stack 2      a reduction cell, N normal cells, 4 F

    Cells are called ``cell1``, ``cell2`` and so on, from the stem's on; AmoebaNet-B
    (6, 256) has 22. Each reads the outputs of the two cells before it. Maps are padded
    as TensorFlow pads them.

    ``targets=[dict(module=r'backbone\.cell(1[2-9]|2[0-2])')]`` injects DropBlock into
    the last half of those, after every batch norm and on every skip connection.

    Args:
        genotype: 'A', 'B', 'C' or 'D', or a
            :class:`~dropblock_mm.models.backbones.amoebanet.Genotype` of yours.
        num_cells: N, normal cells in a stack.
        base_channels: F, channels of each state in the first stack, at least 8.
        stem_channels: Channels of the first convolution.
        in_channels: Channels of the images.
        out_indices: Which stacks' outputs to return, after a ReLU. The auxiliary
            classifier reads that of stack 1.
        norm_cfg: Config of the norms.
        with_cp: Compute each cell again in the backward pass, from its inputs, to
            save its activations' memory.
        init_cfg: How to initialise; by default as the authors' code does.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.

    Examples:
        >>> model = dict(
        ...     type='ImageClassifier',
        ...     backbone=dict(type='dropblock_mm.AmoebaNet', out_indices=(1, 2)),
        ...     head=dict(type='dropblock_mm.AmoebaNetHead', num_classes=1000))
    """

    def __init__(
        self,
        genotype: str | Genotype = 'B',
        num_cells: int = 6,
        base_channels: int = 256,
        *,
        stem_channels: int = 32,
        in_channels: int = 3,
        out_indices: Sequence[int] = (2,),
        norm_cfg: dict[str, Any] = _NORM,
        with_cp: bool = False,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.genotype = _checked_genotype(genotype)
        self.num_cells = check_count(num_cells, 'num_cells', 'Table 2 has 6.')
        self.base_channels = _checked_width(base_channels)
        check_count(stem_channels, 'stem_channels', 'The authors have 32.')
        self.out_indices = _checked_indices(out_indices)
        self.with_cp = check_flag(with_cp, 'with_cp')
        self.stem = Stem(in_channels, stem_channels, norm_cfg)
        shapes = [Shape(stem_channels, 1)]
        for index, (reduces, channels) in enumerate(self._plan(), 1):
            cell = Cell(
                self.genotype.reduction if reduces else self.genotype.normal,
                shapes[-1],
                shapes[-2] if index > 1 else None,
                channels,
                2 if reduces else 1,
                norm_cfg,
            )
            self.add_module(f'cell{index}', cell)
            shapes.append(cell.out_shape)
        self.shapes = tuple(shapes)
        initialise(self)

    def _plan(self) -> Iterator[tuple[bool, int]]:
        """Yield whether a cell reduces, and its channels, in the order of the cells."""
        for factor in STEM_FACTORS:
            yield True, int(self.base_channels * factor)
        for stack in range(NUM_STACKS):
            channels = self.base_channels * 2**stack
            if stack:
                yield True, channels
            yield from [(False, channels)] * self.num_cells

    @property
    def last_cells(self) -> list[int]:
        """Number of the last cell of each stack."""
        first = len(STEM_FACTORS)
        return [first + self.num_cells * (i + 1) + i for i in range(NUM_STACKS)]

    @property
    def out_channels(self) -> list[int]:
        """Channels of the outputs that are returned."""
        return [self.shapes[self.last_cells[i]].channels for i in self.out_indices]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs of stacks.

        Args:
            x: Tensor[N, 3, H, W].

        Returns:
            tuple[Tensor, ...]: Those of ``out_indices``, in their order, after a ReLU.
            For images of 331 pixels and F = 256 that of stack 2 is
            Tensor[N, 4096, 11, 11].

        Raises:
            ValueError: If the images are too small for four halvings.
        """
        if min(x.shape[2:]) < _LEAST_SIDE:
            raise RefusedValueError(
                f'images of {tuple(x.shape[2:])} pixels are too small for AmoebaNet, '
                f'which halves them five times. Give at least {_LEAST_SIDE}.'
            )
        before: Tensor | None = None
        out = self.stem(x)
        kept = {}
        for index in range(1, len(self.shapes)):
            cell: Any = getattr(self, f'cell{index}')
            last, before = before, out
            out = self._call(cell, out, last)
            if index in self.last_cells:
                kept[self.last_cells.index(index)] = out
        return tuple(functional.relu(kept[stack]) for stack in self.out_indices)

    def _call(self, cell: Cell, current: Tensor, previous: Tensor | None) -> Tensor:
        if self.with_cp and self.training:
            return recomputed(cell, current, previous)
        return cell(current, previous)


def _checked_genotype(genotype: Any) -> Genotype:
    if isinstance(genotype, Genotype):
        return genotype
    known = ', '.join(map(repr, GENOTYPES))
    if not isinstance(genotype, str):
        raise RefusedTypeError(
            f'genotype={genotype!r} is neither one of {known} nor a Genotype.'
        )
    if genotype not in GENOTYPES:
        raise RefusedValueError(
            f'genotype={genotype!r} is unknown. There are {known}; a cell of your own '
            'is a dropblock_mm.models.backbones.amoebanet.Genotype.'
        )
    return GENOTYPES[genotype]


def _checked_width(base_channels: Any) -> int:
    remedy = 'Table 2 has 256, and the first cell a quarter of it.'
    width = check_count(base_channels, 'base_channels', remedy)
    if width < LEAST_WIDTH:
        raise RefusedValueError(
            f'base_channels={width} is below {LEAST_WIDTH}: the first cell would have '
            'no more than one channel.'
        )
    return width


def _checked_indices(out_indices: Any) -> tuple[int, ...]:
    if isinstance(out_indices, str) or not isinstance(out_indices, Sequence):
        raise RefusedTypeError(
            f'out_indices={out_indices!r} is no list. Give the stacks whose outputs '
            'to return, such as (1, 2).'
        )
    if not out_indices or not {*out_indices} <= {*range(NUM_STACKS)}:
        raise RefusedValueError(
            f'out_indices={tuple(out_indices)} of AmoebaNet: give stacks, from 0 to '
            f'{NUM_STACKS - 1}.'
        )
    return tuple(out_indices)
