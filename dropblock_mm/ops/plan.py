"""What one call is to do, worked out once for every shape and setting."""

from __future__ import annotations

import ctypes
import math
import struct
import threading
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dropblock_mm.ops.calibration import solve_gamma_on_device
from dropblock_mm.ops.rates import (
    BlockSize,
    clamp_block,
    gamma_per_drop_rate,
    seed_grid,
    solve_gamma,
)
from dropblock_mm.ops.torch_private import is_transformed

Strides = tuple[int, ...]

_MOST_DIMS = 3  # of a plane: lines, maps and volumes
_WORD = 64  # bits

# What loops in C take for a place, a seed, a row of its block, and to widen a word.
_PLACE_NS, _SEED_NS, _ROW_NS, _WORD_NS = 0.15, 8.0, 0.5, 2.0

# Gaps between rarer seeds are no whole numbers of 64 bits.
_RAREST = 1e-15


@dataclass(frozen=True, eq=False)  # each call looks for what was made for one
class BlockGeometry:
    """Where blocks may start on a feature map and how large they are.

    What does not depend on chance is computed once; every call's own work counts.

    Args:
        shape: (N, C, *size) of the mask's planes, with one to three sides; C is 1
            for a shared mask.
        block: Sides of a block, at most those of the map.
        shared_over: Channels of the input that share each plane of the mask.
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]
    shared_over: int = 1

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """(N, C, H - bh + 1, W - bw + 1) of maps: where a seed may fall."""
        return (*self.shape[:2], *seed_grid(self.block, self.shape[2:]))

    @cached_property
    def num_positions(self) -> int:
        """Number of places where a seed may fall, over all planes."""
        return math.prod(self.grid_shape)

    @cached_property
    def num_units(self) -> int:
        """Number of units of the mask's planes."""
        return math.prod(self.shape)

    @cached_property
    def positions_per_unit(self) -> float:
        """Number of places for a seed per unit of the input."""
        return self.num_positions / (self.num_units * self.shared_over)

    @cached_property
    def volume(self) -> tuple[int, ...]:
        """Depth, height and width of a plane, then of a block: 1 where it has none."""
        flat = (1,) * (_MOST_DIMS - len(self.block))
        return (*flat, *self.shape[2:], *flat, *self.block)

    @cached_property
    def covers_map(self) -> bool:
        """Whether a block is as large as the map, so that whole planes are dropped."""
        return self.block == self.shape[2:]

    @cached_property
    def draws_units(self) -> bool:
        """Whether what is drawn is dropped by itself: units, or whole planes."""
        return self.covers_map or math.prod(self.block) == 1

    @cached_property
    def steps_of_input(self) -> tuple[int, int, int]:
        """Strides of image, channel and unit in a contiguous input."""
        units = math.prod(self.shape[2:])
        return self.shape[1] * self.shared_over * units, units, 1

    @cached_property
    def steps_channels_last(self) -> tuple[int, ...]:
        """The same where its channels lie behind each other; of an output and of it."""
        units, channels = math.prod(self.shape[2:]), self.shape[1] * self.shared_over
        return (channels * units, 1, channels) * 2

    @cached_property
    def layout(self) -> tuple[int, ...]:
        """What the loops in C know of a mask, which has a bit for each unit.

        Returns:
            tuple[int, ...]: Images, channels and units of a plane of the input; the
            steps of each in the mask, in bits, 0 where all share one; planes that
            begin with a word, 0 where nothing lies between them; units of each, or of
            all; and :attr:`volume`.
        """
        images, planes = self.shape[:2]
        channels, units = planes * self.shared_over, math.prod(self.shape[2:])
        if not self.draws_units:
            bits = -(-units // _WORD) * _WORD
            drawn = images * planes, units
        else:
            bits = 1 if self.covers_map else units
            drawn = 0, images * planes * bits
        is_shared = self.shared_over > 1
        unit_step = int(bits > 1 or (units == 1 and not is_shared))
        steps = planes * bits, 0 if is_shared else bits, unit_step
        return (images, channels, units, *steps, *drawn, *self.volume)

    @cached_property
    def packed_layout(self) -> bytes:
        """:attr:`layout` as the loops in C read it: 8 bytes a number."""
        return packed(self.layout)

    @cached_property
    def of_mask(self) -> BlockGeometry:
        """The geometry of the mask by itself, which nothing shares."""
        return replace(self, shared_over=1)

    @cached_property
    def dearest_share(self) -> float:
        """The probability of a seed above which a bit for every place is cheaper."""
        if self.draws_units:
            return _PLACE_NS / _SEED_NS
        units, planes = math.prod(self.shape[2:]), self.shape[0] * self.shape[1]
        doublings = sum(math.ceil(math.log2(side)) for side in self.block)
        rows = math.prod(self.block[:-1])
        words = math.ceil(units / _WORD)
        by_bits = words * (_WORD * _PLACE_NS + doublings * _WORD_NS)
        return by_bits * planes / (self.num_positions * (_SEED_NS + rows * _ROW_NS))


def packed(numbers: tuple[int, ...]) -> bytes:
    """Return whole numbers as C has them in memory."""
    return struct.pack(f'{len(numbers)}q', *numbers)


class Way(IntEnum):
    """How seeds are drawn: the numbers are those of ``jobs.h``."""

    GAPS = 0  # a random number for each seed
    BITS = 1  # a fifth of one for each place
    GIVEN = 2


def cheaper_way(geometry: BlockGeometry, share: float) -> Way:
    """Return how seeds of a probability are drawn in less time."""
    rarest, dearest = shares_by_gaps(geometry)
    return Way.GAPS if rarest < share < dearest else Way.BITS


def shares_by_gaps(geometry: BlockGeometry) -> tuple[float, float]:
    """Return between which probabilities a random number for each seed is cheaper."""
    return _RAREST, min(geometry.dearest_share, 0.5)


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that calls have in common which drop with one probability on equal maps.

    Args:
        geometry: The map and the blocks.
        share: Probability of a seed, in [0, 1].
        way: How they are drawn.
        factor: What is kept is multiplied by it; 0 for ``all / kept`` units.
        divides: Divide by it instead; for whole planes alone.

    ``packs`` holds what :meth:`pack` returned, by its arguments.
    """

    geometry: BlockGeometry
    share: float
    way: Way
    factor: float = 0.0
    divides: bool = False
    packs: dict[tuple[int, Strides | None], bytes] = field(
        default_factory=dict, init=False, repr=False
    )

    def draw(self, generator: torch.Generator | None) -> Draw:
        """Draw a key, as :func:`draw_key` does, from the CPU's generator."""
        memory, number = _keys.memory
        if generator is None:  # to name it takes a tenth longer
            memory.random_(2**63 - 1)
        else:
            memory.random_(2**63 - 1, generator=generator)
        return tuple.__new__(Draw, (self, number[0], None))  # in C, as not by its name

    def pack(self, dtype: int, steps: Strides | None) -> bytes:
        """Return it as the loops in C read it, and put it into ``packs``.

        Args:
            dtype: Of the input, by the number it has there.
            steps: Of an output and of an input; None where both are contiguous.
        """
        both = self.geometry.steps_of_input * 2 if steps is None else steps
        numbers = (*self.geometry.layout, self.way, dtype, *both, self.divides)
        found = packed(numbers) + struct.pack('2d', self.share, self.factor)
        self.packs[dtype, steps] = found
        return found


class Draw(NamedTuple):
    """A draw of a mask on the CPU, which backward repeats instead of keeping it.

    Args:
        recipe: What is done, apart from chance.
        key: Of the random numbers, in [0, 2^63).
        seeds: BoolTensor of the geometry's ``grid_shape``, contiguous, if given.
    """

    recipe: Recipe
    key: int
    seeds: Tensor | None = None

    @classmethod
    def of(
        cls,
        geometry: BlockGeometry,
        share: float,
        key: int,
        factor: float = 0.0,
        divides: bool = False,
    ) -> Draw:
        """Return a draw in the cheaper way; masks do not depend on anything else."""
        way = cheaper_way(geometry, share)
        return cls(Recipe(geometry, share, way, factor, divides), key)

    @classmethod
    def given(cls, geometry: BlockGeometry, seeds: Tensor, factor: float = 0.0) -> Draw:
        """Return what draws nothing."""
        return cls(Recipe(geometry, 0.0, Way.GIVEN, factor), 0, seeds.contiguous())

    @property
    def geometry(self) -> BlockGeometry:
        """The map and the blocks."""
        return self.recipe.geometry

    @property
    def share(self) -> float:
        """Probability of a seed, in [0, 1]."""
        return self.recipe.share

    @property
    def way(self) -> Way:
        """How seeds are drawn."""
        return self.recipe.way


@dataclass(frozen=True, eq=False)  # :data:`cached_plan` has one for equal ones
class Plan:
    """What is to be done, apart from the rate: where blocks lie, and how many."""

    geometry: BlockGeometry
    gamma_scale: float
    calibrated: bool
    gamma_per_drop_rate: float

    def gamma(self, keep_prob: float | Tensor) -> float:
        """Return gamma; a tensor is read back to the host."""
        drop_rate = self.gamma_scale * (1.0 - float(keep_prob))
        if self.calibrated:
            keep_rate = min(max(1.0 - drop_rate, 0.0), 1.0)
            geometry = self.geometry
            return solve_gamma(keep_rate, geometry.block, geometry.shape[2:])
        return min(max(drop_rate * self.gamma_per_drop_rate, 0.0), 1.0)

    def device_gamma(self, keep_prob: float | Tensor, device: torch.device) -> Tensor:
        """Return gamma as a 0-dim tensor on the device, read by nobody."""
        if not isinstance(keep_prob, Tensor):
            keep_prob = torch.full((), keep_prob, dtype=torch.float32, device=device)
        # A layer in half precision has a buffer in it.
        dtype = torch.promote_types(keep_prob.dtype, torch.float32)
        keep_prob = keep_prob.to(device, dtype)
        if self.calibrated:
            keep_rate = (1.0 - self.gamma_scale * (1.0 - keep_prob)).clamp(0.0, 1.0)
            solve: Any = torch.ops.dropblock_mm.solve_gamma
            if is_transformed(keep_rate):  # vmap over rates takes plain operations
                solve = solve_gamma_on_device
            return solve(keep_rate, self.geometry.block, self.geometry.shape[2:])
        factor = self.gamma_scale * self.gamma_per_drop_rate
        return ((1.0 - keep_prob) * factor).clamp(0.0, 1.0)


def make_plan(
    shape: tuple[int, ...],
    block_size: BlockSize,
    gamma_scale: float,
    calibrated: bool,
    shared_mask: bool,
) -> Plan:
    """Return the plan for an input of ``shape``, (N, C, *size)."""
    images, channels, *sides = shape
    size = tuple(sides)
    shared_over = channels if shared_mask else 1
    block = clamp_block(block_size, size)
    return Plan(
        BlockGeometry((images, channels // shared_over, *size), block, shared_over),
        gamma_scale=gamma_scale,
        calibrated=calibrated,
        gamma_per_drop_rate=gamma_per_drop_rate(block, size),
    )


cached_plan = lru_cache(maxsize=1024)(make_plan)


@lru_cache(maxsize=1024)
def recipe_of(plan: Plan, keep_prob: float) -> Recipe:
    """Return how blocks are dropped at a rate."""
    gamma = plan.gamma(keep_prob)
    return Recipe(plan.geometry, gamma, cheaper_way(plan.geometry, gamma))


@lru_cache(maxsize=1024)  # one question where there would be two
def cached_recipe(
    shape: tuple[int, ...],
    block_size: BlockSize,
    gamma_scale: float,
    calibrated: bool,
    shared_mask: bool,
    keep_prob: float,
) -> Recipe:
    """Return :func:`recipe_of` the plan for an input of ``shape``, (N, C, *size)."""
    plan = cached_plan(shape, block_size, gamma_scale, calibrated, shared_mask)
    return recipe_of(plan, keep_prob)


def draw_key(device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Return LongTensor[], the seed of a draw that backward can repeat."""
    if generator is None:  # Inductor then draws all keys of a graph by one call
        return torch.randint(2**63 - 1, (), device=device)
    return torch.randint(2**63 - 1, (), device=device, generator=generator)


class _Keys(threading.local):
    """Memory for a key of each thread: to allocate it takes longer than to draw it."""

    def __init__(self) -> None:
        with torch.inference_mode(False):
            memory = torch.empty((), dtype=torch.int64, device='cpu')
        # To read it by torch takes as long as to draw it.
        view = (ctypes.c_char * 8).from_address(memory.data_ptr())
        self.memory = memory, memoryview(view).cast('B').cast('q')


_keys = _Keys()
