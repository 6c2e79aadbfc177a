/* A set of bytes: what a class of a regular expression may match, as an engine sees it. */
#ifndef GITGATE_DATA_BYTE_SET_H
#define GITGATE_DATA_BYTE_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct byte_set {
    uint64_t word[4];
};

static inline bool byte_set_has(const struct byte_set *set, unsigned char c)
{
    return set->word[c / 64] >> (c % 64) & 1;
}

/* From the first to the last, both included; what is beyond 255 is left out. */
void byte_set_add(struct byte_set *set, unsigned from, unsigned to);
void byte_set_union(struct byte_set *set, const struct byte_set *more);
void byte_set_invert(struct byte_set *set);

/* With a letter of ASCII also the same in the other case. */
void byte_set_fold(struct byte_set *set);

/* As a class, "[\x30-\x39\x5f]". */
void byte_set_print(struct buf *to, const struct byte_set *set);

#endif
