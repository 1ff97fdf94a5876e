/* The loops over seeds on the CPU. native.py beside this says what each one does;
 * torch_loops.py does the same with tensor operations.
 *
 * Memory is handed over as addresses, so that this builds without torch or NumPy,
 * for every Python from 3.10. Callers answer for the addresses and the sizes.
 */
#define Py_LIMITED_API 0x030A0000
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address, 1)
#else
#define PREFETCH(address) ((void)(address))
#endif
/* So many blocks before its turn a block's memory is asked for. */
#define AHEAD 4

typedef long long Int; /* what the format "L" reads */
typedef unsigned long long Address;

/* A plane of the mask, and a block on it. Maps have depth 1, and lines height 1. */
typedef struct {
    Int depth, height, width, block_depth, block_height, block_width;
} Plane;

#define PLANE "LLLLLL"
#define INTO(plane)                                   \
    &(plane).depth, &(plane).height, &(plane).width,  \
    &(plane).block_depth, &(plane).block_height, &(plane).block_width

/* Where a unit lies, given its index in the flattened mask. */
typedef struct {
    Int plane, slice, row, column;
} Unit;

static inline Unit unit_at(Int index, Int depth, Int height, Int width) {
    const Int line = index / width, slice = line / height;
    const Int plane = depth == 1 ? slice : slice / depth; /* maps save a division */
    const Unit unit = {plane, slice - plane * depth, line - slice * height,
                       index - line * width};
    return unit;
}

/* place_seeds(uniform, draws, mean_gap, positions, *volume, corners) -> int */
static PyObject *place_seeds(PyObject *module, PyObject *args) {
    (void)module;
    Address uniform_at, corners_at;
    Int draws, positions, seeds = 0;
    double mean_gap, sum = 0.0;
    Plane map;
    if (!PyArg_ParseTuple(args, "KLdL" PLANE "K", &uniform_at, &draws, &mean_gap,
                          &positions, INTO(map), &corners_at))
        return NULL;
    const double *uniform = (const double *)(uintptr_t)uniform_at;
    Int *corners = (Int *)(uintptr_t)corners_at;
    const Int slices = map.depth - map.block_depth + 1;
    const Int rows = map.height - map.block_height + 1;
    const Int columns = map.width - map.block_width + 1;
    Py_BEGIN_ALLOW_THREADS
    for (; seeds < draws; ++seeds) {
        sum += log(uniform[seeds]);
        const double place = sum * -mean_gap;
        if (!(place < (double)positions)) break;
        const Unit unit = unit_at((Int)place, slices, rows, columns);
        const Int slice = unit.plane * map.depth + unit.slice;
        corners[seeds] = (slice * map.height + unit.row) * map.width + unit.column;
    }
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(seeds);
}

static inline Int number_of_ones(uint64_t word) {
    Int count = 0;
    for (; word; word &= word - 1) ++count; /* few: only where blocks overlap */
    return count;
}

/* Set the bits of a block in a slice, and return how many were not set before. */
static inline Int set_block(uint64_t *bits, Int words, Unit unit, const Plane *map) {
    const Int end = unit.column + map->block_width;
    Int added = 0;
    for (Int from = unit.column, to; from < end; from = to) {
        to = (from | 63) + 1 < end ? (from | 63) + 1 : end; /* within a word */
        const uint64_t wanted = (~0ULL >> (64 - (to - from))) << (from & 63);
        uint64_t *word = bits + unit.row * words + (from >> 6);
        for (Int row = 0; row < map->block_height; ++row, word += words) {
            added += to - from - number_of_ones(*word & wanted);
            *word |= wanted;
        }
    }
    return added;
}

/* count_dropped(corners, seeds, *volume) -> int */
static PyObject *count_dropped(PyObject *module, PyObject *args) {
    (void)module;
    Address corners_at;
    Int seeds, dropped = 0, current = -1;
    Plane map;
    if (!PyArg_ParseTuple(args, "KL" PLANE, &corners_at, &seeds, INTO(map)))
        return NULL;
    const Int *corners = (const Int *)(uintptr_t)corners_at;
    const Int words = (map.width + 63) / 64;
    const Int slice_words = map.height * words;
    const size_t bytes = (size_t)(map.depth * slice_words) * sizeof(uint64_t);
    uint64_t *bits = malloc(bytes); /* of one plane at a time */
    if (!bits) return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    for (Int seed = 0; seed < seeds; ++seed) {
        const Unit unit = unit_at(corners[seed], map.depth, map.height, map.width);
        if (unit.plane != current) memset(bits, 0, bytes);
        current = unit.plane;
        for (Int slice = unit.slice; slice < unit.slice + map.block_depth; ++slice)
            dropped += set_block(bits + slice * slice_words, words, unit, &map);
    }
    Py_END_ALLOW_THREADS
    free(bits);
    return PyLong_FromLongLong(dropped);
}

/* memset, inline: most rows of blocks are shorter than its call takes. */
static inline void set_bytes(char *at, uint64_t pattern, size_t length) {
    char *const end = at + length;
    if (length >= 8) {
        for (; at + 8 <= end; at += 8) memcpy(at, &pattern, 8);
        memcpy(end - 8, &pattern, 8);
    } else if (length >= 4) {
        memcpy(at, &pattern, 4);
        memcpy(end - 4, &pattern, 4);
    } else {
        while (at < end) *at++ = (char)pattern;
    }
}

/* How blocks lie in the memory that they are written to; lengths in bytes. */
typedef struct {
    Int planes, slices, rows, pieces;                 /* numbers of */
    Int plane_step, slice_step, row_step, piece_step; /* from one to the next */
    size_t piece;                                     /* what is written at once */
} Block;

/* The first slice: memory that is asked for too early is gone again when written. */
static inline void ask_for_block(char *first, const Block *block) {
    for (Int row = 0; row < block->rows; ++row) {
        PREFETCH(first + row * block->row_step);
        PREFETCH(first + row * block->row_step + block->piece - 1);
    }
}

static inline void write_slice(char *first, const Block *block, uint64_t pattern) {
    for (Int row = 0; row < block->rows; ++row)
        for (Int piece = 0; piece < block->pieces; ++piece)
            set_bytes(first + row * block->row_step + piece * block->piece_step,
                      pattern, block->piece);
}

static inline void write_block(char *first, const Block *block, uint64_t pattern) {
    for (Int plane = 0; plane < block->planes; ++plane)
        for (Int slice = 0; slice < block->slices; ++slice)
            write_slice(first + plane * block->plane_step + slice * block->slice_step,
                        block, pattern);
}

/* fill_blocks(out, itemsize, byte, corners, seeds, *volume, channels, shared_over,
 *             *strides) -> None */
static PyObject *fill_blocks(PyObject *module, PyObject *args) {
    (void)module;
    Address out_at, corners_at;
    Int itemsize, seeds, channels, shared_over, steps[5];
    int byte;
    Plane map;
    if (!PyArg_ParseTuple(args, "KLiKL" PLANE "LLLLLLL", &out_at, &itemsize, &byte,
                          &corners_at, &seeds, INTO(map), &channels, &shared_over,
                          steps, steps + 1, steps + 2, steps + 3, steps + 4))
        return NULL;
    char *out = (char *)(uintptr_t)out_at, *waiting[AHEAD];
    const Int *corners = (const Int *)(uintptr_t)corners_at;
    const uint64_t pattern = 0x0101010101010101ULL * (uint64_t)(byte & 255);
    for (int k = 0; k < 5; ++k) steps[k] *= itemsize;
    const int touching = steps[4] == itemsize; /* a row is one piece of memory */
    const Block block = {
        shared_over, map.block_depth, map.block_height, touching ? 1 : map.block_width,
        steps[1],    steps[2],        steps[3],         steps[4],
        (size_t)(touching ? map.block_width * itemsize : itemsize)};
    Py_BEGIN_ALLOW_THREADS
    for (Int seed = 0; seed < seeds + AHEAD; ++seed) {
        if (seed >= AHEAD) write_block(waiting[seed % AHEAD], &block, pattern);
        if (seed >= seeds) continue;
        const Unit unit = unit_at(corners[seed], map.depth, map.height, map.width);
        const Int image = unit.plane / channels, channel = unit.plane % channels;
        char *first = out + image * steps[0] + channel * steps[1] +
                      unit.slice * steps[2] + unit.row * steps[3] +
                      unit.column * steps[4];
        ask_for_block(first, &block);
        waiting[seed % AHEAD] = first;
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"place_seeds", place_seeds, METH_VARARGS, NULL},
    {"count_dropped", count_dropped, METH_VARARGS, NULL},
    {"fill_blocks", fill_blocks, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&definition); }
