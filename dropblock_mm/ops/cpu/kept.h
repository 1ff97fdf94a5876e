/* Memory for masks, which stays with the process, and the masks drawn last in it.
 *
 * To allocate memory for each mask would leave gaps between the large tensors, so that
 * these wander through memory and out of the cache. And backward needs what forward drew:
 * where its bits are still there they are taken, else they are drawn again from the key.
 * The memory is bounded for the process, however many masks wait for their backward.
 */
#ifndef DROPBLOCK_KEPT_H
#define DROPBLOCK_KEPT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jobs.h"

#define KEPT_WORDS (1 << 19) /* 4 MiB: masks of 33 million units */
#define KEPT_MASKS 64

/* What is done with a mask afterwards: nothing, or backward asks AGAIN for it. */
enum Use { ONCE, KEEP, AGAIN };

typedef struct {
    Draw draw; /* with its mask and its count; without one the place is free */
    Int from, to; /* words, of the mask or of the turned bits */
} Kept;

static struct {
    uint64_t *memory;
    char is_taken;
    Int next; /* word behind the youngest mask */
    int youngest;
    Kept masks[KEPT_MASKS];
} kept;

#define OVERLAPS(one, first, behind) ((one).from < (behind) && (first) < (one).to)

/* Memory behind the youngest mask, or again from the start; what was there is forgotten. */
static uint64_t *take_memory(Int words) {
    if (words > KEPT_WORDS || __atomic_test_and_set(&kept.is_taken, __ATOMIC_ACQUIRE))
        return malloc((size_t)words * sizeof(uint64_t));
    if (!kept.memory) kept.memory = malloc(KEPT_WORDS * sizeof(uint64_t));
    if (!kept.memory) {
        __atomic_clear(&kept.is_taken, __ATOMIC_RELEASE);
        return NULL;
    }
    if (kept.next + words > KEPT_WORDS) kept.next = 0;
    const Int from = kept.next, to = from + words;
    for (int k = 0; k < KEPT_MASKS; ++k)
        if (kept.masks[k].draw.mask && OVERLAPS(kept.masks[k], from, to))
            kept.masks[k].draw.mask = NULL;
    return kept.memory + from;
}

static int is_kept(const uint64_t *memory) {
    return kept.memory && memory >= kept.memory && memory < kept.memory + KEPT_WORDS;
}

/* Whoever took the memory calls it, whatever there was done with it. */
static void give_memory(uint64_t *memory) {
    if (is_kept(memory))
        __atomic_clear(&kept.is_taken, __ATOMIC_RELEASE);
    else
        free(memory);
}

/* Keep a mask that begins with the memory that was taken for it: so many words. */
static void remember(const Draw *draw, const uint64_t *memory, Int words) {
    if (!is_kept(memory) || draw->way == GIVEN) return;
    kept.youngest = (kept.youngest + 1) % KEPT_MASKS;
    const Kept mask = {*draw, kept.next, kept.next + words};
    kept.masks[kept.youngest] = mask;
    kept.next = (mask.to + LINE / 8 - 1) / (LINE / 8) * (LINE / 8);
}

/* All that a mask depends on. */
static int is_same(const Draw *one, const Draw *other) {
    return one->key == other->key && one->share == other->share &&
           one->gap == other->gap && one->certain == other->certain && one->way == other->way &&
           one->planes == other->planes && one->units == other->units &&
           !memcmp(&one->map, &other->map, sizeof one->map);
}

/* Whether what is kept of one serves the other: a mask is turned for it, but not back. */
static int serves(const Draw *one, const Draw *other) {
    return one->mask && is_same(one, other) &&
           (!one->turned || !memcmp(one->order, other->order, sizeof one->order));
}

/* The mask of a draw if it is kept, turned or not, with its count; give_memory() is due for
 * what is returned.
 *
 * Backward comes the other way round: the next mask may be written where the youngest
 * was, which is then in the cache. */
static uint64_t *recall(Draw *draw) {
    if (draw->way == GIVEN || __atomic_test_and_set(&kept.is_taken, __ATOMIC_ACQUIRE))
        return NULL;
    for (int k = 0; k < KEPT_MASKS; ++k) {
        Kept *found = kept.masks + (kept.youngest + KEPT_MASKS - k) % KEPT_MASKS;
        if (!serves(&found->draw, draw)) continue;
        draw->turned = found->draw.turned;
        draw->mask = draw->turned ? NULL : found->draw.mask;
        draw->dropped = found->draw.dropped;
        if (k == 0) {
            kept.next = found->from;
            kept.youngest = (kept.youngest + KEPT_MASKS - 1) % KEPT_MASKS;
        }
        return kept.memory + found->from;
    }
    __atomic_clear(&kept.is_taken, __ATOMIC_RELEASE);
    return NULL;
}

#endif
