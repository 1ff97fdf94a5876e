/* Draws masks. Included once for each instruction set, by which FOR() names it. */

/* Four sums, for one alone would wait for itself at every word. */
INLINE Int FOR(count)(const uint64_t *words, Int number) {
    Int ones[4] = {0}, k = 0;
    for (; k + 4 <= number; k += 4)
        for (int n = 0; n < 4; ++n) ones[n] += __builtin_popcountll(words[k + n]);
    for (; k < number; ++k) ones[0] += __builtin_popcountll(words[k]);
    return ones[0] + ones[1] + ones[2] + ones[3];
}

/* Units that are drawn one by one: words from..to of the mask. */
INLINE void FOR(draw_units)(const Draw *draw, Int stream) {
    const Int first = stream * STREAM, left = draw->units - first;
    const Int units = left < STREAM ? left : STREAM, words = (units + 63) / 64;
    uint64_t *mask = draw->mask + first / 64;
    if (draw->way == GIVEN) {
        memset(mask, 0, (size_t)words * 8);
        for (Int k = 0; k < units; ++k)
            mask[k >> 6] |= (uint64_t)(draw->seeds[first + k] != 0) << (k & 63);
    } else if (draw->certain) {
        memset(mask, 255, (size_t)words * 8);
    } else if (draw->way == BY_BITS) {
        random_bits(mask, words, draw->key, (uint64_t)first / 64, draw->share);
    } else {
        double gaps[GAPS], sum = 0.0, place = 0.0;
        memset(mask, 0, (size_t)words * 8);
        for (uint64_t first = 0; place < (double)units; first += GAPS) {
            random_gaps(gaps, draw->key, (uint64_t)stream, first);
            for (int k = 0; k < GAPS; ++k) {
                sum += gaps[k];
                place = sum * -draw->gap;
                if (!(place < (double)units)) break;
                mask[(Int)place >> 6] |= 1ULL << ((Int)place & 63);
            }
        }
    }
    if (units & 63) mask[words - 1] &= ~0ULL >> (64 - (units & 63));
}

/* A whole number over another one by a product with the inverse: half a step from a
 * whole quotient, rounding cannot tell another one. */
INLINE Int FOR(over)(Int number, double inverse) {
    return (Int)(((double)number + 0.5) * inverse);
}

/* Set the bits of a stamp, from a word on. Seeds that follow each other share words, and
 * a vector would wait for the last one to be written: so it is one word at a time. */
INLINE void FOR(set_stamp)(uint64_t *to, const uint64_t *stamp, Int words) {
    for (; words > 8; words -= 8, to += 8, stamp += 8) {
        to[0] |= stamp[0], to[1] |= stamp[1], to[2] |= stamp[2], to[3] |= stamp[3];
        to[4] |= stamp[4], to[5] |= stamp[5], to[6] |= stamp[6], to[7] |= stamp[7];
    }
    switch (words) {
        case 8: to[7] |= stamp[7]; /* fall through */
        case 7: to[6] |= stamp[6]; /* fall through */
        case 6: to[5] |= stamp[5]; /* fall through */
        case 5: to[4] |= stamp[4]; /* fall through */
        case 4: to[3] |= stamp[3]; /* fall through */
        case 3: to[2] |= stamp[2]; /* fall through */
        case 2: to[1] |= stamp[1]; /* fall through */
        default: to[0] |= stamp[0];
    }
}

/* Set the bits of a slice of a block, row by row or by a stamp for all rows.
 *
 * `plane` and `corner` say where it begins, `left` how many words the thread has from
 * the plane on: words of a stamp behind its block are zeros, and may be beyond. */
INLINE void FOR(set_slice)(const Draw *draw, uint64_t *plane, Int corner, Int left) {
    const Volume *map = &draw->map;
    if (!draw->stamp_words) {
        for (Int row = 0; row < map->block_height; ++row)
            set_row(plane, corner + row * map->width, map->block_width);
        return;
    }
    const Int first = corner >> 6, words = draw->stamp_words;
    FOR(set_stamp)(plane + first, draw->stamps + (corner & 63) * words,
                   words < left - first ? words : left - first);
}

/* The points of a Poisson process along the places of some planes, and their blocks. */
INLINE void FOR(draw_sparse_blocks)(const Draw *draw, Int stream, Int first, Int planes) {
    const Volume map = draw->map;
    const Int rows = map.height - map.block_height + 1;
    const Int columns = map.width - map.block_width + 1;
    const Int lines = (map.depth - map.block_depth + 1) * rows, places = lines * columns;
    const double inverse_places = 1.0 / (double)places;
    const double inverse_columns = 1.0 / (double)columns;
    const double inverse_rows = 1.0 / (double)rows;
    const double all = (double)(places * planes);
    const Int plane_words = draw->words, words = planes * plane_words;
    const double gap = -draw->gap;
    uint64_t *mask = draw->mask + first * draw->words;
    double gaps[GAPS], points[GAPS], sum = 0.0, point = 0.0;
    memset(mask, 0, (size_t)words * 8);
    for (uint64_t from = 0; point < all; from += GAPS) {
        Int starts[GAPS], corners[GAPS];
        random_gaps(gaps, draw->key, (uint64_t)stream, from);
        for (int k = 0; k < GAPS; ++k) points[k] = sum += gaps[k];
        SIMD for (int k = 0; k < GAPS; ++k) {
            points[k] *= gap;
            const Int number = (Int)points[k];
            const Int plane = FOR(over)(number, inverse_places);
            const Int place = number - plane * places;
            const Int line = FOR(over)(place, inverse_columns);
            const Int slice = FOR(over)(line, inverse_rows);
            const Int row = slice * map.height + line - slice * rows;
            corners[k] = row * map.width + place - line * columns;
            starts[k] = plane * plane_words;
        }
        for (int k = 0; k < GAPS; ++k) {
            point = points[k];
            if (!(point < all)) break;
            for (Int z = 0; z < map.block_depth; ++z)
                FOR(set_slice)(draw, mask + starts[k],
                               corners[k] + z * map.height * map.width,
                               words - starts[k]);
        }
    }
}

/* bits |= bits << shift */
INLINE void FOR(spread)(uint64_t *bits, Int words, Int shift) {
    const Int whole = shift >> 6;
    const int rest = (int)(shift & 63);
    if (rest == 0) {
        for (Int k = words - 1; k >= whole; --k) bits[k] |= bits[k - whole];
        return;
    }
    for (Int k = words - 1; k > whole; --k)
        bits[k] |= bits[k - whole] << rest | bits[k - whole - 1] >> (64 - rest);
    if (words > whole) bits[whole] |= bits[0] << rest;
}

/* Each bit becomes `length` bits, `step` apart; so many fit behind each. */
INLINE void FOR(widen)(uint64_t *bits, Int words, Int length, Int step) {
    for (Int have = 1, more; have < length; have += more) {
        more = have < length - have ? have : length - have;
        FOR(spread)(bits, words, more * step);
    }
}

/* Seeds become blocks: rows, then squares, then cubes. */
INLINE void FOR(grow_blocks)(const Draw *draw, uint64_t *plane) {
    const Volume *map = &draw->map;
    FOR(widen)(plane, draw->words, map->block_width, 1);
    FOR(widen)(plane, draw->words, map->block_height, map->width);
    FOR(widen)(plane, draw->words, map->block_depth, map->width * map->height);
}

/* All planes at once, for small ones have few words, and words are drawn together. */
INLINE void FOR(draw_many_blocks)(const Draw *draw, Int first, Int planes) {
    uint64_t *plane = draw->mask + first * draw->words;
    if (draw->certain)
        memset(plane, 255, (size_t)(planes * draw->words) * 8);
    else
        random_bits(plane, planes * draw->words, draw->key,
                    (uint64_t)(first * draw->words), draw->share);
    for (Int p = 0; p < planes; ++p, plane += draw->words) {
        for (Int k = 0; k < draw->words; ++k) plane[k] &= draw->corners[k];
        FOR(grow_blocks)(draw, plane);
    }
}

INLINE void FOR(place_given_blocks)(const Draw *draw, Int first, Int planes) {
    const Volume map = draw->map;
    const Int rows = map.height - map.block_height + 1;
    const Int columns = map.width - map.block_width + 1;
    const Int lines = (map.depth - map.block_depth + 1) * rows;
    for (Int p = first; p < first + planes; ++p) {
        uint64_t *plane = draw->mask + p * draw->words;
        memset(plane, 0, (size_t)draw->words * 8);
        for (Int line = 0; line < lines; ++line) {
            const Int row = line / rows * map.height + line % rows;
            const uint8_t *seeds = draw->seeds + (p * lines + line) * columns;
            for (Int column = 0; column < columns; ++column)
                if (seeds[column]) set_row(plane, row * map.width + column, 1);
        }
        FOR(grow_blocks)(draw, plane);
    }
}

/* What is drawn is turned next, into memory that no cache may have: it comes meanwhile. */
INLINE void FOR(fetch_turned)(const Draw *draw, Int word, Int words) {
#if defined(__GNUC__)
    if (draw->turned)
        for (Int k = 0; k < words; k += LINE / 8)
            __builtin_prefetch(draw->turned + word + k, 1);
#else
    (void)draw, (void)word, (void)words;
#endif
}

static void FOR(draw)(void *context, int member, int members) {
    Draw *draw = (Draw *)context;
    const Int to = part(draw->streams, member + 1, members);
    Int dropped = 0;
    for (Int stream = part(draw->streams, member, members); stream < to; ++stream) {
        const Int first = stream * draw->planes_per_stream;
        const Int planes = least(draw->planes - first, draw->planes_per_stream);
        const Int word = draw->planes ? first * draw->words : stream * (STREAM / 64);
        const Int words = draw->planes ? planes * draw->words
                                       : least(draw->words - word, STREAM / 64);
        FOR(fetch_turned)(draw, word, words);
        if (!draw->planes)
            FOR(draw_units)(draw, stream);
        else if (draw->way == GIVEN)
            FOR(place_given_blocks)(draw, first, planes);
        else if (draw->way == BY_BITS)
            FOR(draw_many_blocks)(draw, first, planes);
        else
            FOR(draw_sparse_blocks)(draw, stream, first, planes);
        dropped += FOR(count)(draw->mask + word, words);
    }
    ADD_TOGETHER(draw->dropped, dropped);
}
