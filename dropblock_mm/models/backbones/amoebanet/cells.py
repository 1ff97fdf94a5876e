"""A cell: what a genotype says, as a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dropblock_mm.models.backbones.amoebanet.genotypes import (
    NUM_INPUTS,
    CellGenotype,
)
from dropblock_mm.models.backbones.amoebanet.operations import (
    FactorizedReduction,
    Norm,
    build_operation,
    conv_norm,
    project,
)

_SIDES = ('left', 'right')


class Shape(NamedTuple):
    """What is known of a map before there is one.

    Args:
        channels: Number of channels.
        halvings: How often it was halved, from the network's input.
    """

    channels: int
    halvings: int


class Cell(nn.Module):
    """A cell of AmoebaNet; NASNet's and its other descendants have the same form.

    State 0 is the input, projected to the cell's channels. State 1 is the input of
    the cell before, halved or projected where it does not fit. The others are sums of
    two operations on earlier states. The output is a concatenation of states.

    An operation that reads one of the first two states does the halving, so all others
    see maps of the output's size.

    Args:
        genotype: What is in it.
        current: Shape of the output of the cell before.
        previous: Shape of the output of the cell before that; None if there is none,
            and then ``current`` is taken as it is.
        channels: Channels of each state; the output has as many for each state of it.
        stride: 1, or 2 to halve the map.
        norm: Config of the norms.

    Attributes:
        out_shape: Shape of the output.
    """

    def __init__(
        self,
        genotype: CellGenotype,
        current: Shape,
        previous: Shape | None,
        channels: int,
        stride: int,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.project = project(current.channels, channels, norm)
        self.previous, state_1 = _match(current, previous, channels, norm)
        states = [Shape(channels, current.halvings), state_1]
        out = Shape(channels, current.halvings + (stride == 2))
        self.operations = nn.ModuleDict()
        for number, pair in enumerate(genotype.pairs, NUM_INPUTS):
            for side, step in zip(_SIDES, pair, strict=True):
                self.operations[f'state{number}_{side}'] = build_operation(
                    step.operation,
                    states[step.state].channels,
                    channels,
                    stride if step.state < NUM_INPUTS else 1,
                    norm,
                )
            states.append(out)
        self.reductions = nn.ModuleDict()
        for number in genotype.concat:
            if states[number] != out:
                reduction, states[number] = _fit(states[number], out, norm)
                self.reductions[str(number)] = reduction
        width = sum(states[number].channels for number in genotype.concat)
        self.out_shape = Shape(width, out.halvings)

    @property
    def skips(self) -> list[str]:
        """Dotted names of the parts that pass a state on, which are skip connections.

        That is every operation 'none', and state 1 where it fits as it is. A 'none'
        that has to halve or to widen its state has a projection, as in ResNet.
        """
        names = [
            f'operations.{name}'
            for name, step in zip(self.operations, self.genotype.steps, strict=True)
            if step.operation == 'none'
        ]
        passes = isinstance(self.previous, nn.Identity)
        return ['previous', *names] if passes else names

    def forward(self, current: Tensor, previous: Tensor | None = None) -> Tensor:
        """Compute the cell's output.

        Args:
            current: Tensor[N, C, H, W], output of the cell before.
            previous: Tensor[N, C', H', W'], output of the cell before that, if any.

        Returns:
            Tensor[N, C'', H / stride, W / stride], sides rounded up.
        """
        state_1 = self.previous(current if previous is None else previous)
        states = [self.project(current), state_1]
        results = (
            operation(states[step.state])
            for step, operation in zip(
                self.genotype.steps, self.operations.values(), strict=True
            )
        )
        # A result is asked for when the states that it takes are there.
        states.extend(left + right for left, right in _pairs(results))
        for number, reduction in self.reductions.items():
            states[int(number)] = reduction(states[int(number)])
        return torch.cat([states[number] for number in self.genotype.concat], dim=1)


def _pairs(results: Iterator[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(results, results, strict=True)


def _match(
    current: Shape, previous: Shape | None, channels: int, norm: Norm
) -> tuple[nn.Module, Shape]:
    """Build what makes state 1, and tell its shape."""
    if previous is None:
        return nn.Identity(), current
    if previous.halvings != current.halvings:
        reduction = FactorizedReduction(previous.channels, channels, norm)
        return reduction, Shape(reduction.out_channels, current.halvings)
    if previous.channels != channels:
        projection = project(previous.channels, channels, norm)
        return projection, Shape(channels, previous.halvings)
    return nn.Identity(), previous


def _fit(state: Shape, out: Shape, norm: Norm) -> tuple[nn.Module, Shape]:
    """Build what makes a state as large as the others of the output."""
    if state.halvings == out.halvings:
        return conv_norm(state.channels, out.channels, norm), out
    reduction = FactorizedReduction(state.channels, out.channels, norm, relu=False)
    return reduction, Shape(reduction.out_channels, out.halvings)
