/* Applies masks. Included once for each instruction set, by which FOR() names it.
 *
 * Each kernel goes once over the memory: it reads a unit, scales it, and clears it if
 * its bit is set, without a branch. Bits are spread to lanes by a table of single bits,
 * which compilers turn into vector instructions.
 */

/* KERNELS(float32, ...) makes scale_float32 and drop_float32.
 *
 * Type: of a unit. Bits: an unsigned integer as wide. Wide: what is computed in.
 * LOAD(unit) -> Wide; STORE(wide) -> Bits */
#define KERNELS(name, Type, Bits, Wide, LOAD, STORE)                                   \
    static void FOR(scale_##name)(char *to, const char *from, Int n, double by,        \
                                  int divides) {                                       \
        Bits *restrict out = (Bits *)to;                                               \
        const Type *restrict x = (const Type *)from;                                   \
        const Wide factor = (Wide)by;                                                  \
        if (divides)                                                                   \
            for (Int k = 0; k < n; ++k) out[k] = STORE(LOAD(x[k]) / factor);           \
        else                                                                           \
            for (Int k = 0; k < n; ++k) out[k] = STORE(LOAD(x[k]) * factor);           \
    }                                                                                  \
    static void FOR(drop_##name)(char *to, const char *from, Int n,                    \
                                 const uint64_t *mask, Int bit, double by) {           \
        enum { WIDTH = 8 * (int)sizeof(Bits) };                                        \
        Bits *restrict out = (Bits *)to;                                               \
        const Type *restrict x = (const Type *)from;                                   \
        const Wide factor = (Wide)by;                                                  \
        Int k = 0;                                                                     \
        for (; k + 64 <= n; k += 64, bit += 64) {                                      \
            const uint64_t word = word_at(mask, bit);                                  \
            for (int part = 0; part < 64; part += WIDTH) {                             \
                const Bits lanes = (Bits)(word >> part);                               \
                SIMD for (int lane = 0; lane < WIDTH; ++lane) {                        \
                    const Bits value = STORE(LOAD(x[k + part + lane]) * factor);       \
                    const Bits one = (Bits)((Bits)1 << lane);                          \
                    out[k + part + lane] = value & (Bits)-(Bits)((lanes & one) == 0);  \
                }                                                                      \
            }                                                                          \
        }                                                                              \
        uint64_t word = k < n ? word_at(mask, bit) : 0;                                \
        for (; k + 8 <= n; k += 8, word >>= 8) {                                       \
            const Bits lanes = (Bits)(word & 255);                                     \
            SIMD for (int lane = 0; lane < 8; ++lane) {                                \
                const Bits value = STORE(LOAD(x[k + lane]) * factor);                  \
                const Bits one = (Bits)((Bits)1 << lane);                              \
                out[k + lane] = value & (Bits)-(Bits)((lanes & one) == 0);             \
            }                                                                          \
        }                                                                              \
        for (; k < n; ++k, word >>= 1) {                                               \
            const Bits value = STORE(LOAD(x[k]) * factor);                             \
            out[k] = value & (Bits)((word & 1) - 1);                                   \
        }                                                                              \
    }

#define AS_IT_IS(value) (value)
#if HAS_X86_VECTORS >= 2
#include "float32.h"
#else
KERNELS(float32, float, uint32_t, float, AS_IT_IS, bits_of_float)
#endif
KERNELS(float64, double, uint64_t, double, AS_IT_IS, bits_of_double)
#ifdef HAS_X86_VECTORS
#include "halves.h"
#else
KERNELS(bfloat16, uint16_t, uint16_t, float, float_of_bfloat16, bfloat16_of_float)
KERNELS(float16, uint16_t, uint16_t, float, float_of_float16, float16_of_float)
#endif
#undef AS_IT_IS
#undef KERNELS

typedef void (*FOR(Scale))(char *, const char *, Int, double, int);
typedef void (*FOR(Drop))(char *, const char *, Int, const uint64_t *, Int, double);

static const struct {
    Int size;
    FOR(Scale) scale;
    FOR(Drop) drop;
} FOR(kernels)[] = {
    {4, FOR(scale_float32), FOR(drop_float32)},
    {8, FOR(scale_float64), FOR(drop_float64)},
    {2, FOR(scale_bfloat16), FOR(drop_bfloat16)},
    {2, FOR(scale_float16), FOR(drop_float16)},
};

INLINE void FOR(make_row)(const Apply *apply, char *to, const char *from, Int n, Int bit,
                          Int step) {
    if (step)
        FOR(kernels)[apply->dtype].drop(to, from, n, apply->mask, bit, apply->factor);
    else if (bit_at(apply->mask, bit))
        memset(to, 0, (size_t)(n * FOR(kernels)[apply->dtype].size));
    else
        FOR(kernels)[apply->dtype].scale(to, from, n, apply->factor, apply->divides);
}

#ifdef HAS_X86_VECTORS
/* Whole lines go to memory past the caches, which would read them first. */
INLINE void FOR(stream)(char *to, const char *from, Int bytes) {
    Int k = (Int)(-(uintptr_t)to & (LINE - 1));
    memcpy(to, from, (size_t)(k < bytes ? k : bytes));
    for (; k + LINE <= bytes; k += LINE)
        for (Int half = k; half < k + LINE; half += 32)
            _mm256_stream_si256((__m256i *)(to + half),
                                _mm256_loadu_si256((const __m256i *)(from + half)));
    if (k < bytes) memcpy(to + k, from + k, (size_t)(bytes - k));
}

/* Make slices of a row where they stay in the cache, each to the end of a line. */
static void FOR(stream_row)(const Apply *apply, char *to, const char *from, Int n, Int bit,
                            Int step) {
    const Int size = FOR(kernels)[apply->dtype].size;
    char slice[SLICE + LINE];
    for (Int k = 0, units; k < n; k += units) {
        units = (SLICE + (Int)(-(uintptr_t)(to + k * size) & (LINE - 1))) / size;
        if (n - k < units) units = n - k;
        FOR(make_row)(apply, slice, from + k * size, units, bit + k * step, step);
        FOR(stream)(to + k * size, slice, units * size);
    }
}
#endif

/* `n` units behind each other, whose bits are so too (step 1), or are one (step 0). */
INLINE void FOR(apply_row)(const Apply *apply, Int out, Int x, Int n, Int bit, Int step) {
    const Int size = FOR(kernels)[apply->dtype].size;
    char *to = apply->out + out * size;
    const char *from = apply->x + x * size;
#ifdef HAS_X86_VECTORS
    if (apply->streams) {
        FOR(stream_row)(apply, to, from, n, bit, step);
        return;
    }
#endif
    FOR(make_row)(apply, to, from, n, bit, step);
}

/* Others may read what went past the caches. */
INLINE void FOR(end_rows)(const Apply *apply) {
#ifdef HAS_X86_VECTORS
    if (apply->streams) _mm_sfence();
#endif
    (void)apply;
}

#define FETCHED 16 /* lines */
#define READ 8192  /* units; of more the reading costs more than what it keeps going */
#define PIECE 4096 /* units; a multiple of 64, for the mask's words */

/* Have the first lines of what is kept next read: what is dropped is not, so that the
 * processor does not see them coming. */
INLINE void FOR(fetch)(const Apply *apply, Int from, Int to) {
#if defined(__GNUC__)
    const Int size = FOR(kernels)[apply->dtype].size;
    const char *line = apply->x + from * size, *end = apply->x + to * size;
    for (int k = 0; k < FETCHED && line < end; ++k, line += LINE) __builtin_prefetch(line);
#else
    (void)apply, (void)from, (void)to;
#endif
}

/* The plane behind those that are dropped, or kept, as one is and follow it. */
INLINE Int FOR(behind_alike)(const Apply *apply, Int plane, Int planes) {
    const Int step = apply->bits[1];
    const int is_dropped = bit_at(apply->mask, plane * step);
    if (step != 1) {
        while (plane < planes && bit_at(apply->mask, plane * step) == is_dropped) ++plane;
        return plane;
    }
    for (; plane < planes; plane += 64) {
        const uint64_t others = word_at(apply->mask, plane) ^ (0 - (uint64_t)is_dropped);
        if (others) return plane + __builtin_ctzll(others);
    }
    return planes;
}

/* Nothing lies between the planes, and each has one bit: those that follow each other and
 * are kept, or dropped, are one row. A short row that is dropped is read and then cleared,
 * so that the processor goes on reading ahead; where the cache has all of it, that would
 * cost more than it saves. */
INLINE void FOR(apply_whole_planes)(const Apply *apply, Int from, Int to) {
    const Int units = apply->units, step = apply->bits[1];
    uint64_t ones[READ / 64 + 1];
    memset(ones, 255, sizeof ones);
    Apply reading = *apply;
    reading.mask = ones;
    const Int planes = (to + units - 1) / units;
    for (Int plane = from / units, unit = from, end; unit < to; unit = end) {
        const Int bit = plane * step;
        const int is_dropped = bit_at(apply->mask, bit);
        plane = FOR(behind_alike)(apply, plane, planes);
        end = plane * units < to ? plane * units : to;
        if (is_dropped && apply->reads && end - unit <= READ) {
            FOR(apply_row)(&reading, unit, unit, end - unit, 0, 1);
            continue;
        }
        if (is_dropped) FOR(fetch)(apply, end, to);
        FOR(apply_row)(apply, unit, unit, end - unit, bit, 0);
    }
}

/* Units lie behind each other, as in torch's contiguous format. */
static void FOR(apply_planes)(void *context, int member, int members) {
    const Apply *apply = (const Apply *)context;
    const Int *o = apply->out_steps, *x = apply->x_steps, *b = apply->bits;
    if (apply->is_flat) {
        const Int units = apply->channels * apply->units, pieces = (units + PIECE - 1) / PIECE;
        const Int from = part(pieces, member, members) * PIECE;
        const Int end = part(pieces, member + 1, members) * PIECE;
        const Int to = end < units ? end : units;
        if (!b[2])
            FOR(apply_whole_planes)(apply, from, to);
        else if (from < to)
            FOR(apply_row)(apply, from, from, to - from, from, 1);
        FOR(end_rows)(apply);
        return;
    }
    const Int pieces = (apply->units + PIECE - 1) / PIECE;
    const Int all = apply->images * apply->channels * pieces;
    const Int from = part(all, member, members), to = part(all, member + 1, members);
    Int piece = from % pieces, plane = from / pieces;
    Int channel = plane % apply->channels, image = plane / apply->channels;
    for (Int k = from; k < to; ++k) {
        const Int unit = piece * PIECE, left = apply->units - unit;
        FOR(apply_row)(apply, image * o[0] + channel * o[1] + unit,
                       image * x[0] + channel * x[1] + unit, left < PIECE ? left : PIECE,
                       image * b[0] + channel * b[1] + unit * b[2], b[2] != 0);
        if (++piece < pieces) continue;
        piece = 0;
        if (++channel < apply->channels) continue;
        channel = 0, ++image;
    }
    FOR(end_rows)(apply);
}

#include "turn.h"

INLINE void FOR(apply_slab)(const Apply *apply, const Slab *slab) {
    const Int *o = apply->out_steps, *x = apply->x_steps, *b = apply->bits;
    const Int channels = slab->channels, units = slab->units;
    const Int to = slab->image * o[0] + slab->channel + slab->unit * o[2];
    const Int from = slab->image * x[0] + slab->channel + slab->unit * x[2];
    Int bit = slab->image * b[0] + slab->channel * b[1] + slab->unit * b[2], step = b[2];
    uint64_t here[SLAB + 1];
    Apply of_slab = *apply;
    if (b[1] && b[2]) {
        of_slab.mask = FOR(turned_slab)(apply, slab, here, &step);
        bit = 0, step *= 64;
        /* Nothing lies between the units, nor between the bits of whole words. */
        if (o[2] == channels && x[2] == channels && step == channels) {
            FOR(apply_row)(&of_slab, to, from, units * channels, 0, 1);
            return;
        }
    }
    for (Int k = 0; k < units; ++k)
        FOR(apply_row)(&of_slab, to + k * o[2], from + k * x[2], channels, bit + k * step,
                       b[1] != 0);
}

/* Channels lie behind each other, as in torch's channels-last formats. */
static void FOR(apply_channels_last)(void *context, int member, int members) {
    const Apply apply = FOR(turned_first)((const Apply *)context, member, members);
    const Int most = FOR(groups_at_once)(apply.channels);
    FOR(work_by_slabs)(&apply, most, member, members, FOR(apply_slab));
    FOR(end_rows)(&apply);
}

#include "unpack.h"
#undef FETCHED
#undef READ
#undef PIECE
#undef SLAB
#undef TILES
#undef SQUARE
