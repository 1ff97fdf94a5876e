/* Draws masks. Included once for each instruction set, by which FOR() names it. */

INLINE Int FOR(count)(const uint64_t *words, Int number) {
    Int ones = 0;
    for (Int k = 0; k < number; ++k) ones += __builtin_popcountll(words[k]);
    return ones;
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

/* Set the bits of a slice of a block, row by row or by a stamp for all rows. */
INLINE void FOR(set_slice)(const Draw *draw, uint64_t *plane, Int corner) {
    const Volume *map = &draw->map;
    if (!draw->stamp_words) {
        for (Int row = 0; row < map->block_height; ++row)
            set_row(plane, corner + row * map->width, map->block_width);
        return;
    }
    const Int first = corner >> 6, left = draw->words - first;
    const Int words = left < draw->stamp_words ? left : draw->stamp_words;
    const uint64_t *stamp = draw->stamps + (corner & 63) * draw->stamp_words;
    for (Int k = 0; k < words; ++k) plane[first + k] |= stamp[k];
}

/* The points of a Poisson process along the places of some planes, and their blocks. */
INLINE void FOR(draw_sparse_blocks)(const Draw *draw, Int stream, Int first, Int planes) {
    const Volume map = draw->map;
    const Int rows = map.height - map.block_height + 1;
    const Int columns = map.width - map.block_width + 1;
    const Int lines = (map.depth - map.block_depth + 1) * rows, places = lines * columns;
    const double inverse_places = 1.0 / (double)places;
    const double inverse_columns = 1.0 / (double)columns;
    const double all = (double)(places * planes);
    uint64_t *mask = draw->mask + first * draw->words;
    double gaps[GAPS], sum = 0.0, point = 0.0;
    memset(mask, 0, (size_t)(planes * draw->words) * 8);
    for (uint64_t from = 0; point < all; from += GAPS) {
        random_gaps(gaps, draw->key, (uint64_t)stream, from);
        for (int k = 0; k < GAPS; ++k) {
            sum += gaps[k];
            point = sum * -draw->gap;
            if (!(point < all)) break;
            const Int plane = FOR(over)((Int)point, inverse_places);
            const Int place = (Int)point - plane * places;
            const Int line = FOR(over)(place, inverse_columns);
            const Int slice = lines == rows ? 0 : line / rows;
            const Int row = slice * map.height + line - slice * rows;
            const Int corner = row * map.width + place - line * columns;
            for (Int z = 0; z < map.block_depth; ++z)
                FOR(set_slice)(draw, mask + plane * draw->words,
                               corner + z * map.height * map.width);
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

static void FOR(draw)(void *context, int member, int members) {
    Draw *draw = (Draw *)context;
    const Int to = part(draw->streams, member + 1, members);
    Int dropped = 0;
    for (Int stream = part(draw->streams, member, members); stream < to; ++stream) {
        const Int first = stream * draw->planes_per_stream;
        const Int left = draw->planes - first;
        const Int planes = left < draw->planes_per_stream ? left : draw->planes_per_stream;
        if (!draw->planes) {
            FOR(draw_units)(draw, stream);
            const Int word = stream * (STREAM / 64), behind = draw->words - word;
            dropped += FOR(count)(draw->mask + word,
                                  behind < STREAM / 64 ? behind : STREAM / 64);
            continue;
        }
        if (draw->way == GIVEN)
            FOR(place_given_blocks)(draw, first, planes);
        else if (draw->way == BY_BITS)
            FOR(draw_many_blocks)(draw, first, planes);
        else
            FOR(draw_sparse_blocks)(draw, stream, first, planes);
        dropped += FOR(count)(draw->mask + first * draw->words, planes * draw->words);
    }
    ADD_TOGETHER(draw->dropped, dropped);
}
