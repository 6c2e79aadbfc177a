/* A set of paths. */
#ifndef GITGATE_GATE_NAMES_H
#define GITGATE_GATE_NAMES_H

#include <stdint.h>

#include "base/buf.h"

/* Bytes of all paths: 500,000 of usual length. In a tree that is thousands of folders deep they are
 * long. */
#define NAMES_MAX (32u << 20)

struct names {
    struct buf text; /* each with a NUL behind */
    uint32_t *table; /* one more than a place in `text`; 0: free */
    size_t n, size;  /* used and all places of the table */
    uint64_t seed;   /* so that nobody can choose names that collide */
};

#define NAMES_INIT ((struct names){.text = BUF_INIT(NAMES_MAX)})

void names_done(struct names *names);

/* 1 when it is new, 0 when it is known, -E2BIG past NAMES_MAX, or another negative errno. */
int names_add(struct names *names, const char *path);

#endif
