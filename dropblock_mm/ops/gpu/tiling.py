"""How the fused kernels cut DropBlock into programs.

The seeds' grid of a plane is cut into *cells*, the units of random drawing. They
follow from the shape of the map and the block alone, so that every kernel draws
the same seeds. The planes are cut into *tiles*, one for a program of the GPU. They
may differ from kernel to kernel and with the memory format.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from dropblock_mm.errors import RefusedValueError

Size = tuple[int, int]

DROP_RATE = 0.1  # what the cut is made for; every other is served too
SEEDS_PER_CELL = 4  # expected at most where a plane is cut
MOST_SEEDS_UNCUT = 12  # expected in a plane that is one cell
WIDEST_CUT = 128  # columns of a cell where a plane is cut
LONGEST_SIDE = 2048  # of a cell, so that fp32 holds every position in it
BUSY_THREADS = 64 * 1024  # that a large GPU needs at least
MOST_DRAWS = 64  # at once in a cell
MOST_TILES = 2**16 - 1  # along rows and along columns, in CUDA's grids


class Work(NamedTuple):
    """What a kernel has to do, which its tiles are made for.

    Args:
        planes: Planes of units.
        size: Height and width of a plane.
        block: Height and width of a block, at most those of the plane.
        most_units: Most units of a tile.
        per_unit: Instructions that a unit costs, apart from those for seeds.
        images: Times that there are so many planes; a tile is in one image.
        least_planes: Fewest planes of a tile.
        threads: Threads of a program.
    """

    planes: int
    size: Size
    block: Size
    most_units: int
    per_unit: float
    images: int = 1
    least_planes: int = 1
    threads: int = 128


class Tile(NamedTuple):
    """What a program handles: the kernels' constants, all but CUT powers of 2.

    Args:
        PLANES: Planes of the tile.
        ROWS: Rows of the tile.
        WORDS: Words of bits that its columns make up.
        BITS: Columns in a word, at most 32.
        CELLS_H: Cells that reach the tile, from top to bottom.
        CELLS_W: Cells that reach the tile, from left to right.
        DRAWS: Seeds drawn at once in a cell.
        CUT: Whether a plane has more than one cell.
    """

    PLANES: int
    ROWS: int
    WORDS: int
    BITS: int
    CELLS_H: int
    CELLS_W: int
    DRAWS: int
    CUT: bool

    def grid(self, work: Work) -> tuple[int, int, int]:
        """Return the number of programs along planes, rows and columns."""
        return (
            work.images * _cdiv(work.planes, self.PLANES),
            _cdiv(work.size[0], self.ROWS),
            _cdiv(work.size[1], self.WORDS * self.BITS),
        )


@lru_cache(maxsize=4096)
def choose_tile(work: Work) -> Tile:
    """Return the tile for which all programs together take the least time.

    Raises:
        ValueError: If the map needs more tiles than a GPU has programs.
    """
    height, width = work.size
    full = _power_of_2(width)
    tiles = [
        tile
        for planes in _powers_of_2(work.least_planes, _power_of_2(work.planes))
        for rows in _powers_of_2(1, _power_of_2(height))
        for columns in _powers_of_2(min(full, 64), min(full, 256))
        if planes * rows * columns <= work.most_units
        for tile in _tiles_of(planes, rows, columns, work)
    ]
    fitting = [t for t in tiles if max(t.grid(work)[1:]) <= MOST_TILES]
    if not fitting:
        raise RefusedValueError(
            f'A map of {height} x {width} units is too large for the GPU: its tiles '
            f'would be more than {MOST_TILES} along one side.'
        )
    return min(fitting, key=lambda tile: _instructions(tile, work))


@lru_cache(maxsize=4096)
def cell_size(size: Size, block: Size) -> Size:
    """Return height and width of a cell: those of the seeds' grid, or powers of 2.

    In the latter case the last cells may reach past the grid. Seeds that fall
    there are discarded.
    """
    height, width = seeds_grid(size, block)
    rate = expected_rate(size, block)
    uncut = rate * height * width <= MOST_SEEDS_UNCUT
    if uncut and max(height, width) <= LONGEST_SIDE:
        return height, width
    cell_w = min(_power_of_2(width), LONGEST_SIDE if uncut else WIDEST_CUT)
    cell_h = max(1, math.floor(SEEDS_PER_CELL / (rate * cell_w)))
    cell_h = 1 << (cell_h.bit_length() - 1)
    return min(cell_h, _power_of_2(height), LONGEST_SIDE), cell_w


def cells_across(size: Size, block: Size) -> int:
    """Return how many cells lie side by side."""
    return _cdiv(seeds_grid(size, block)[1], cell_size(size, block)[1])


def seeds_grid(size: Size, block: Size) -> Size:
    """Return height and width of the region where seeds may fall."""
    return size[0] - block[0] + 1, size[1] - block[1] + 1


def expected_rate(size: Size, block: Size) -> float:
    """Return gamma for the drop rate that the cut is made for (equation 1)."""
    area = math.prod(block) * math.prod(seeds_grid(size, block))
    return DROP_RATE * math.prod(size) / area


def _tiles_of(planes: int, rows: int, columns: int, work: Work) -> list[Tile]:
    """Return tiles of one form, which draw more or fewer seeds at once."""
    cell = cell_size(work.size, work.block)
    cells = [
        _power_of_2(_cells_reaching(*sides))
        for sides in zip((rows, columns), work.size, work.block, cell, strict=True)
    ]
    cut = cell != seeds_grid(work.size, work.block)
    bits = min(32, columns)
    return [
        Tile(planes, rows, columns // bits, bits, cells[0], cells[1], draws, cut)
        for draws in _powers_of_2(1, min(_power_of_2(math.prod(cell)), MOST_DRAWS))
    ]


def _cells_reaching(tile: int, length: int, block: int, cell: int) -> int:
    """Return how many cells reach a tile at most, along one side.

    Tiles and cells are powers of 2 and lie side by side from 0, or there is only
    one cell.
    """
    reaching = max(tile // cell, 1) + _cdiv(block - 1, cell)
    return min(reaching, _cdiv(length - block + 1, cell))


def _rounds(tile: Tile, work: Work) -> float:
    """Estimate how often a program draws until none of its cells lacks a seed."""
    positions = math.prod(cell_size(work.size, work.block))
    mean = positions * expected_rate(work.size, work.block)
    cells = tile.PLANES * tile.CELLS_H * tile.CELLS_W
    rounds, seeds, chance, left = 1.0, 0, math.exp(-mean), 1.0
    while seeds < min(positions, 2 * MOST_DRAWS):
        left -= chance  # the chance of more seeds than these in a cell (Poisson)
        seeds += 1
        chance *= mean / seeds
        if seeds % tile.DRAWS == 0 and seeds < positions:
            rounds += 1.0 - (1.0 - min(max(left, 0.0), 1.0)) ** cells
    return rounds


def _instructions(tile: Tile, work: Work) -> float:
    """Estimate what all threads execute, by what the kernels compile to."""
    seeds = tile.CELLS_H * tile.CELLS_W * tile.DRAWS
    words = tile.PLANES * tile.WORDS
    per_round = (
        250  # barriers between the warps, mostly
        + 150 * max(1, tile.PLANES * seeds / work.threads)
        + seeds * 10 * max(1, words / work.threads)
        + seeds * 5 * max(1, words * tile.ROWS / work.threads)
    )
    per_thread = (
        300
        + work.per_unit * words * tile.ROWS * tile.BITS / work.threads
        + per_round * _rounds(tile, work)
    )
    threads = work.threads * math.prod(tile.grid(work))
    return per_thread * max(threads, BUSY_THREADS)


def _powers_of_2(first: int, last: int) -> list[int]:
    """Return those from first to last, or first alone if it is beyond last."""
    return [first] + [1 << k for k in range(first.bit_length(), last.bit_length())]


def _power_of_2(n: int) -> int:
    """Return the least power of 2 that is not below n."""
    return 1 << (n - 1).bit_length()


def _cdiv(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
