/* DropBlock's loops on the CPU: draw a mask of bits, count it, apply it in one pass.
 *
 * torch_loops.py does the same with tensor operations, and draws the same masks.
 * Memory is handed over as addresses, so that this builds without torch or NumPy,
 * for every Python from 3.10. Callers answer for the addresses and the sizes.
 *
 * draw.h and apply.h are compiled for several instruction sets, of which the best one
 * that the machine has is taken when the module is loaded.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030A0000
#include <Python.h>

#include <math.h>

#include "floats.h"
#include "jobs.h"
#include "random.h"
#include "threads.h"

#define FOR(name) name##_anywhere
#include "apply.h"
#include "draw.h"
#undef FOR

/* Other compilers ask for instruction sets in other words, and do without. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAS_VARIANTS
#include <immintrin.h>
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt,f16c")
#define HAS_X86_VECTORS 1
#define FOR(name) name##_avx2
#include "apply.h"
#include "draw.h"
#undef FOR
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")
#undef HAS_X86_VECTORS
#define HAS_X86_VECTORS 2
#define FOR(name) name##_avx512
#include "apply.h"
#include "draw.h"
#undef FOR
/* All processors with these two have both. */
#pragma GCC target("gfni,avx512vpopcntdq")
#undef HAS_X86_VECTORS
#define HAS_X86_VECTORS 3
#define FOR(name) name##_gfni
#include "apply.h"
#include "draw.h"
#undef FOR
#pragma GCC pop_options
#endif

#define VARIANT(name)                                                              \
    {draw_##name, apply_planes_##name, apply_channels_last_##name, unpack_##name,          \
     unpack_channels_last_##name}
static const struct Variant {
    Work draw, apply_planes, apply_channels_last, unpack, unpack_channels_last;
} variants[] = {
    VARIANT(anywhere),
#ifdef HAS_VARIANTS
    VARIANT(avx2),
    VARIANT(avx512),
    VARIANT(gfni),
#endif
};
static const struct Variant *variant = variants;

static int best_variant(void) {
#ifdef HAS_VARIANTS
    __builtin_cpu_init();
#define HAS(feature) __builtin_cpu_supports(feature)
    const int has_avx2 = HAS("avx2") && HAS("bmi") && HAS("bmi2") && HAS("popcnt");
    /* Whatever has AVX2 has the instructions for half precision, F16C. */
    if (has_avx2 && HAS("avx512f") && HAS("avx512bw") && HAS("avx512dq") &&
        HAS("avx512vl"))
        return HAS("gfni") && HAS("avx512vpopcntdq") ? 3 : 2;
    if (has_avx2) return 1;
#undef HAS
#endif
    return 0;
}

#define SMALL 32768 /* units that are not worth a second thread, as in torch */

static int worth(int threads, Int units) {
    const Int most = units / (SMALL / 2);
    return most < threads ? (int)most : threads;
}

static void prepare(Draw *draw, double share, const Int volume[6]) {
    const Volume map = {volume[0], volume[1], volume[2], volume[3], volume[4], volume[5]};
    draw->map = map;
    draw->certain = share >= 1.0;
    draw->share = draw->certain ? 0 : (uint64_t)ldexp(share, 64);
    draw->gap = draw->certain || share == 0.0 ? 0.0 : -1.0 / log1p(-share);
    if (draw->gap == 0.0 && draw->way == BY_GAPS) draw->way = BY_BITS;
    draw->words = (draw->units + 63) / 64;
    if (!draw->planes) {
        draw->streams = (draw->units + STREAM - 1) / STREAM;
        return;
    }
    const Int places = (map.depth - map.block_depth + 1) *
                       (map.height - map.block_height + 1) *
                       (map.width - map.block_width + 1);
    draw->planes_per_stream = places < STREAM ? STREAM / places : 1;
    draw->streams = (draw->planes + draw->planes_per_stream - 1) / draw->planes_per_stream;
}

/* Set the bits of a plane where a whole block fits behind. */
static void set_corners(uint64_t *corners, const Volume *map) {
    const Int slices = map->depth - map->block_depth + 1;
    const Int rows = map->height - map->block_height + 1;
    const Int columns = map->width - map->block_width + 1;
    for (Int slice = 0; slice < slices; ++slice)
        for (Int row = 0; row < rows; ++row)
            set_row(corners, (slice * map->height + row) * map->width, columns);
}

/* The bits of a block's slice, moved by 0 to 63 bits: seeds are then a few words each. */
static void make_stamps(uint64_t *stamps, Int words, const Volume *map) {
    for (Int shift = 0; shift < 64; ++shift)
        for (Int row = 0; row < map->block_height; ++row)
            set_row(stamps + shift * words, shift + row * map->width, map->block_width);
}

/* Words of a stamp, or 0 where rows are fewer than these or seeds few. */
static Int choose_stamp(const Draw *draw) {
    const Volume *map = &draw->map;
    const Int bits = (map->block_height - 1) * map->width + map->block_width;
    const Int words = (bits + 63 + 63) / 64;
    const int is_small = words <= 2 * map->block_height && words <= 64;
    return draw->planes > 64 && draw->way == BY_GAPS && is_small ? words : 0;
}

#include "kept.h"

/* Words of turned bits and one behind, or 0 where they are not kept: nobody asks for them,
 * the memory is not as large, or too much of it would go to channels that are few. */
static Int choose_turned(const Draw *draw, Int words, Int more) {
    const Int *n = draw->order, turned = n[0] * n[2] * ((n[1] + 63) / 64) + 1;
    const int fits = turned <= 2 * words && turned + words + more <= KEPT_WORDS;
    return n[1] && fits && draw->way != GIVEN ? turned : 0;
}

/* Memory for the mask, and behind it a word and what is the same for all planes. Turned
 * bits come before it, and are kept in its place. */
static uint64_t *draw_mask(Draw *draw, int use, int threads) {
    const Int planes = draw->planes ? draw->planes : 1, words = planes * draw->words + 1;
    Int more = draw->planes && draw->way == BY_BITS ? draw->words : 0;
    draw->stamp_words = choose_stamp(draw);
    if (draw->stamp_words) more = 64 * draw->stamp_words;
    Int turned = use == KEEP ? choose_turned(draw, words, more) : 0;
    uint64_t *memory = take_memory(turned + words + more);
    if (!memory) return NULL;
    if (turned && is_kept(memory)) draw->turned = memory;
    draw->mask = memory + turned;
    uint64_t *behind = draw->mask + words;
    memset(behind - 1, 0, (size_t)(more + 1) * sizeof(uint64_t));
    if (draw->stamp_words) make_stamps(behind, draw->stamp_words, &draw->map);
    else if (more) set_corners(behind, &draw->map);
    draw->corners = draw->stamps = behind;
    in_parallel(variant->draw, draw, worth(threads, draw->units * planes));
    if (use == KEEP) remember(draw, memory, draw->turned ? turned : words);
    return memory;
}

/* Let an input have a mask, for whose memory give_memory() is due; NULL if there is none.
 * It is kept or drawn, and may be turned where channels lie behind each other. */
static uint64_t *find_mask(Draw *draw, Apply *apply, int channels_last, int use,
                           int threads) {
    const int turns = channels_last && apply->bits[1] && apply->bits[2];
    const Int order[3] = {apply->images, apply->channels, apply->units};
    if (turns) memcpy(draw->order, order, sizeof order);
    uint64_t *memory = use == AGAIN ? recall(draw) : NULL;
    if (!memory) memory = draw_mask(draw, use, threads);
    apply->mask = draw->mask;
    apply->turned = draw->turned;
    return memory;
}

/* Dimensions that lie behind each other, in memory and in the mask, become one. */
static void join(Apply *apply) {
    Int *o = apply->out_steps, *x = apply->x_steps, *b = apply->bits;
    const Int plane = apply->units, image = apply->channels * plane;
    const int channels_join = o[1] == plane && x[1] == plane;
    const int images_join = apply->images == 1 || (o[0] == image && x[0] == image);
    if (!channels_join) return;
    if (b[1] == plane * b[2]) { /* also where all channels share one bit */
        apply->units = image, apply->channels = apply->images;
        o[1] = o[0], x[1] = x[0], b[1] = b[0];
        apply->images = 1, o[0] = x[0] = b[0] = 0;
        if (!images_join) return;
        if (b[1] == image * b[2]) apply->units *= apply->channels, apply->channels = 1;
    } else if (images_join && b[0] == apply->channels * b[1]) {
        apply->channels *= apply->images, apply->images = 1;
        o[0] = x[0] = b[0] = 0;
    }
    apply->is_flat = images_join && apply->images == 1 && (!b[2] || apply->channels == 1);
}

/* Bytes of an output that the caches cannot hold until it is read, as memcpy has it:
 * to write past them spares reading it first, which is a third of the traffic. */
static Int streamed = 8 << 20;

static const Int sizes[] = {4, 8, 2, 2}; /* of dtypes */

/* Rows of a few lines would write parts of lines, for each of which memory is read. */
static int is_streamed(const Apply *apply, Int units, int planes) {
    const Int size = sizes[apply->dtype], row = planes ? apply->units : apply->channels;
    return units * size >= streamed && (row * size >= 8 * LINE || streamed == 0);
}

static void apply_mask(Apply *apply, int planes, int threads) {
    const Int units = apply->images * apply->channels * apply->units;
    if (planes) join(apply);
    apply->streams = is_streamed(apply, units, planes);
    apply->reads = units * sizes[apply->dtype] >= streamed / 2;
    in_parallel(planes ? variant->apply_planes : variant->apply_channels_last, apply,
                worth(threads, units));
}

typedef unsigned long long Address;
#define AT(type, address) ((type *)(uintptr_t)(address))

/* What a call is told of a mask: 14 numbers in memory (images, channels and units of the
 * input; the steps of each in bits; planes, units of each; the volume), then how it is
 * drawn: way, key, probability, seeds. */
#define DRAW "y#iKdK"
#define LAYOUT 14
typedef struct {
    const char *layout;
    Py_ssize_t bytes;
    int way;
    unsigned long long key;
    double share;
    Address seeds;
} Asked;
#define INTO(asked)                                                                    \
    &(asked).layout, &(asked).bytes, &(asked).way, &(asked).key, &(asked).share,       \
        &(asked).seeds

/* Read the numbers of a bytes object. */
static int read_numbers(Int *to, int number, const char *from, Py_ssize_t bytes) {
    if (bytes == number * (Py_ssize_t)sizeof(Int)) {
        memcpy(to, from, (size_t)bytes);
        return 1;
    }
    PyErr_Format(PyExc_ValueError, "%zd bytes do not hold %d numbers", bytes, number);
    return 0;
}

static void read_layout(Draw *draw, Apply *apply, const Int *n, const Asked *asked) {
    apply->images = n[0], apply->channels = n[1], apply->units = n[2];
    memcpy(apply->bits, n + 3, 3 * sizeof(Int));
    draw->planes = n[6], draw->units = n[7];
    draw->way = (enum Way)asked->way;
    draw->key = asked->key;
    draw->seeds = AT(const uint8_t, asked->seeds);
    prepare(draw, asked->share, n + 8);
}

/* All of a call that is the same for many: as plan.py packs it. */
typedef struct {
    Int layout[LAYOUT], way;
    Int dtype, out_steps[3], x_steps[3], divides;
    double share, factor;
} Recipe;

/* drop(recipe, key, seeds, out, x, use, threads) -> int */
static PyObject *drop(PyObject *module, PyObject *args) {
    (void)module;
    Draw draw = {0};
    Apply apply = {0};
    Recipe recipe;
    const char *packed;
    Py_ssize_t bytes;
    unsigned long long key;
    Address seeds, out, x;
    int use, threads;
    if (!PyArg_ParseTuple(args, "y#KKKKii", &packed, &bytes, &key, &seeds, &out, &x, &use,
                          &threads))
        return NULL;
    if (bytes != (Py_ssize_t)sizeof recipe)
        return PyErr_Format(PyExc_ValueError, "%zd bytes are no recipe", bytes);
    memcpy(&recipe, packed, sizeof recipe);
    const Asked asked = {NULL, 0, (int)recipe.way, key, recipe.share, seeds};
    read_layout(&draw, &apply, recipe.layout, &asked);
    apply.dtype = (int)recipe.dtype;
    memcpy(apply.out_steps, recipe.out_steps, sizeof recipe.out_steps);
    memcpy(apply.x_steps, recipe.x_steps, sizeof recipe.x_steps);
    apply.factor = recipe.factor;
    apply.divides = (int)recipe.divides;
    if (apply.divides) apply.bits[2] = 0; /* whole planes: no kernel has both */
    apply.out = AT(char, out);
    apply.x = AT(const char, x);
    const int planes = apply.x_steps[2] == 1 && apply.out_steps[2] == 1;
    uint64_t *memory;
    Py_BEGIN_ALLOW_THREADS
    memory = find_mask(&draw, &apply, !planes, use, threads);
    if (memory) {
        const Int units = apply.images * apply.channels * apply.units;
        const Int bits = draw.planes ? draw.planes * draw.units : draw.units;
        draw.dropped *= units / bits; /* which share a bit */
        if (apply.factor == 0.0)
            apply.factor = (double)units /
                           (double)(draw.dropped < units ? units - draw.dropped : 1);
        apply_mask(&apply, planes, threads);
        give_memory(memory);
    }
    Py_END_ALLOW_THREADS
    return memory ? PyLong_FromLongLong(draw.dropped) : PyErr_NoMemory();
}

/* Write a mask in bytes, and count what it drops; 0 where there is no memory. */
static int write_mask(Draw *draw, Apply *apply, int channels_last, int use, int threads) {
    const Int units = apply->images * apply->channels * apply->units;
    uint64_t *memory = find_mask(draw, apply, channels_last, use, threads);
    if (!memory) return 0;
    in_parallel(channels_last ? variant->unpack_channels_last : variant->unpack, apply,
                worth(threads, units));
    draw->dropped *= units / (draw->planes ? draw->planes * draw->units : draw->units);
    give_memory(memory);
    return 1;
}

/* draw(layout, *drawn, out, channels_last, use, threads) -> int */
static PyObject *draw(PyObject *module, PyObject *args) {
    (void)module;
    Draw draw = {0};
    Apply apply = {0};
    Asked asked;
    Address out;
    int channels_last, use, threads;
    if (!PyArg_ParseTuple(args, DRAW "Kiii", INTO(asked), &out, &channels_last, &use,
                          &threads))
        return NULL;
    Int layout[LAYOUT];
    if (!read_numbers(layout, LAYOUT, asked.layout, asked.bytes)) return NULL;
    read_layout(&draw, &apply, layout, &asked);
    apply.out = AT(char, out);
    int is_done;
    Py_BEGIN_ALLOW_THREADS
    is_done = write_mask(&draw, &apply, channels_last, use, threads);
    Py_END_ALLOW_THREADS
    return is_done ? PyLong_FromLongLong(draw.dropped) : PyErr_NoMemory();
}

#include "operator.h"

/* float_at(address) -> float; of a tensor's one number, which torch's own way takes many
 * times as long to read or to change */
static PyObject *float_at(PyObject *module, PyObject *address) {
    (void)module;
    const Address at = PyLong_AsUnsignedLongLong(address);
    if (PyErr_Occurred()) return NULL;
    float value;
    memcpy(&value, AT(const char, at), sizeof value);
    return PyFloat_FromDouble(value);
}

/* add_at(address, number, address, number) -> None */
static PyObject *add_at(PyObject *module, PyObject *args) {
    (void)module;
    Address at[2];
    Int numbers[2];
    if (!PyArg_ParseTuple(args, "KLKL", at, numbers, at + 1, numbers + 1)) return NULL;
    for (int k = 0; k < 2; ++k) {
        Int value;
        memcpy(&value, AT(const char, at[k]), sizeof value);
        value += numbers[k];
        memcpy(AT(char, at[k]), &value, sizeof value);
    }
    Py_RETURN_NONE;
}

/* use_threads(parallel, member, members) -> None; addresses, or 0 for one thread */
static PyObject *use_threads(PyObject *module, PyObject *args) {
    (void)module;
    Address parallel, member, members;
    if (!PyArg_ParseTuple(args, "KKK", &parallel, &member, &members)) return NULL;
    memcpy(&runtime.parallel, &(uintptr_t){(uintptr_t)parallel}, sizeof(uintptr_t));
    memcpy(&runtime.member, &(uintptr_t){(uintptr_t)member}, sizeof(uintptr_t));
    memcpy(&runtime.members, &(uintptr_t){(uintptr_t)members}, sizeof(uintptr_t));
    Py_RETURN_NONE;
}

/* use_variant(number) -> int; a larger number than there is chooses the best */
static PyObject *use_variant(PyObject *module, PyObject *args) {
    (void)module;
    int number;
    if (!PyArg_ParseTuple(args, "i", &number)) return NULL;
    const int best = best_variant();
    number = number < 0 || number > best ? best : number;
    variant = variants + number;
    return PyLong_FromLong(number);
}

/* stream_from(bytes) -> int; of outputs that are written past the caches: what it was */
static PyObject *stream_from(PyObject *module, PyObject *args) {
    (void)module;
    Int bytes;
    if (!PyArg_ParseTuple(args, "L", &bytes)) return NULL;
    const Int before = streamed;
    streamed = bytes;
    return PyLong_FromLongLong(before);
}

/* kept_memory() -> (int, int); the address and the bytes of what masks are kept in */
static PyObject *kept_memory(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    const Int bytes = kept.memory ? KEPT_WORDS * (Int)sizeof *kept.memory : 0;
    return Py_BuildValue("(KL)", (Address)(uintptr_t)kept.memory, bytes);
}

static PyMethodDef methods[] = {
    {"drop", drop, METH_VARARGS, NULL},
    {"draw", draw, METH_VARARGS, NULL},
    {"float_at", float_at, METH_O, NULL},
    {"add_at", add_at, METH_VARARGS, NULL},
    {"stream_from", stream_from, METH_VARARGS, NULL},
    {"kept_memory", kept_memory, METH_NOARGS, NULL},
    {"use_torch", use_torch, METH_VARARGS, NULL},
    {"use_threads", use_threads, METH_VARARGS, NULL},
    {"use_variant", use_variant, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) {
    variant = variants + best_variant();
    return PyModule_Create(&definition);
}
