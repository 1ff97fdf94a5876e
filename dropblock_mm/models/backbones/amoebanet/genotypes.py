"""What is in the cells of AmoebaNet-A to D: tables, and what a row of them means.

The source is the authors' code, ``models/official/amoeba_net/model_specs.py`` in
tensorflow/tpu. It lists for every cell which states are used, and concatenates the
others. In some cells a state is used and concatenated all the same, such as state 0 of
B's normal cell, where the figure in the paper of AmoebaNet (Real et al., 2019) would
not have it. These tables follow the code: that is what was trained, and it has the
published number of parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dropblock_mm.errors import RefusedTypeError, RefusedValueError

# Names of operations: see dropblock_mm.models.backbones.amoebanet.operations.
OPERATIONS = (
    'none',
    '1x1',
    'conv3',
    'conv1x7_7x1',
    'sep3',
    'sep5',
    'sep7',
    'avg3',
    'max3',
    'max2',
)
NUM_INPUTS = 2  # states 0 and 1: this cell's input and that of the cell before


@dataclass(frozen=True)
class Step:
    """An operation on a state.

    Args:
        operation: One of ``OPERATIONS``.
        state: Number of the state that it takes.
    """

    operation: str
    state: int


@dataclass(frozen=True)
class CellGenotype:
    """A cell: states that are sums of two steps, and what it puts out.

    Args:
        pairs: The two steps of state 2, of state 3, and so on. Each takes a state
            with a smaller number; states 0 and 1 are the cell's inputs.
        concat: Numbers of the states whose concatenation is the output.

    Raises:
        TypeError: If a pair does not have two steps.
        ValueError: If a step or ``concat`` names what there is not.
    """

    pairs: tuple[tuple[Step, Step], ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        for state, pair in enumerate(self.pairs, NUM_INPUTS):
            _check_pair(pair, state)
        number = NUM_INPUTS + len(self.pairs)
        if not self.concat or not {*self.concat} <= {*range(number)}:
            raise RefusedValueError(
                f'concat={self.concat} of a cell with the states 0 to {number - 1}: '
                'give the numbers of those to concatenate.'
            )

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, those of state 2 first."""
        return tuple(step for pair in self.pairs for step in pair)


@dataclass(frozen=True)
class Genotype:
    """The two cells of a network.

    Args:
        normal: Keeps the size of its maps.
        reduction: Halves it.
    """

    normal: CellGenotype
    reduction: CellGenotype


def _check_pair(pair: Sequence[Step], state: int) -> None:
    if len(pair) != 2:
        raise RefusedTypeError(
            f'state {state} of a cell is the sum of two steps, not of {len(pair)}.'
        )
    for step in pair:
        if step.operation not in OPERATIONS:
            raise RefusedValueError(
                f'operation={step.operation!r} of state {state} is unknown. There '
                f'are: {", ".join(OPERATIONS)}.'
            )
        if not 0 <= step.state < state:
            raise RefusedValueError(
                f'state={step.state} of a step of state {state}: a step takes a '
                f'state with a smaller number, 0 to {state - 1}.'
            )


def cell(table: str, concat: Sequence[int]) -> CellGenotype:
    """Read a cell from a table.

    Args:
        table: A line for each state from 2 on, such as ``sep3(0) + none(1)``.
        concat: Numbers of the states whose concatenation is the output.
    """
    rows = [line.split('+') for line in table.strip().splitlines()]
    pairs = tuple(tuple(map(_step, row)) for row in rows)
    return CellGenotype(pairs, tuple(concat))  # type: ignore[arg-type]  # checked there


def _step(text: str) -> Step:
    operation, _, state = text.strip().rstrip(')').partition('(')
    return Step(operation, int(state))


AMOEBANET_A = Genotype(
    normal=cell(
        """
        avg3(0) + max3(0)
        sep3(1) + none(1)
        none(0) + avg3(1)
        sep3(0) + sep5(2)
        avg3(5) + sep3(0)
        """,
        concat=(1, 3, 4, 6),
    ),
    reduction=cell(
        """
        sep3(1) + avg3(0)
        max3(0) + sep7(2)
        max3(1) + max3(0)
        sep3(4) + conv1x7_7x1(0)
        avg3(1) + sep7(0)
        """,
        concat=(2, 3, 4, 5, 6),
    ),
)
AMOEBANET_B = Genotype(
    normal=cell(
        """
        1x1(1) + max3(1)
        none(1) + sep3(0)
        1x1(1) + sep3(0)
        1x1(2) + none(2)
        avg3(1) + 1x1(5)
        """,
        concat=(0, 3, 4, 6),
    ),
    # The code calls its sep5 dilated, and ignores that: it reads the kernel and the
    # number of layers alone from the name.
    reduction=cell(
        """
        max2(0) + max3(0)
        none(2) + conv3(1)
        sep5(2) + max3(2)
        none(3) + sep3(1)
        avg3(4) + 1x1(3)
        """,
        concat=(5, 6),
    ),
)
AMOEBANET_C = Genotype(
    normal=cell(
        """
        avg3(0) + sep3(0)
        none(0) + sep3(0)
        avg3(2) + sep3(1)
        none(0) + sep3(1)
        avg3(3) + sep3(0)
        """,
        concat=(1, 2, 4, 5, 6),
    ),
    reduction=cell(
        """
        max3(0) + max3(0)
        sep7(2) + sep3(0)
        sep7(0) + max3(1)
        sep5(4) + sep5(4)
        max3(1) + sep3(1)
        """,
        concat=(0, 2, 3, 4, 5, 6),
    ),
)
AMOEBANET_D = Genotype(
    normal=cell(
        """
        1x1(1) + max3(1)
        none(1) + conv1x7_7x1(0)
        1x1(0) + conv1x7_7x1(0)
        max3(2) + none(2)
        avg3(1) + 1x1(5)
        """,
        concat=(0, 3, 4, 6),
    ),
    reduction=cell(
        """
        max2(0) + max3(0)
        none(2) + conv3(1)
        conv1x7_7x1(2) + max3(2)
        none(3) + max2(1)
        avg3(2) + 1x1(3)
        """,
        concat=(4, 5, 6),
    ),
)
GENOTYPES = {
    'A': AMOEBANET_A,
    'B': AMOEBANET_B,
    'C': AMOEBANET_C,
    'D': AMOEBANET_D,
}
