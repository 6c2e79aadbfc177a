/* What is wrong with a document: all of it at once, each with its place.
 *
 *     gitgate.yaml:14:11: spec.upstreams[1].url: ...
 */
#ifndef GITGATE_DATA_PROBLEMS_H
#define GITGATE_DATA_PROBLEMS_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define PROBLEMS_MAX 100 /* a document with more is reported with its first hundred */

struct problem {
    char *path;       /* "spec.upstreams[1].url"; "" for the document itself */
    char *message;    /* what is wrong and what would be right */
    int line, column; /* 1-based; 0 when the object did not come from a file */
};

struct problems {
    struct problem *list;
    size_t n;
    size_t total; /* also those beyond PROBLEMS_MAX: nothing is fine because it was not listed */
};

#define PROBLEMS_INIT ((struct problems){0})
#define cleanup_problems CLEANUP(problems_done)

void problems_done(struct problems *problems);

/* Places are filled in afterwards from the path, see yaml_locate. */
__attribute__((format(printf, 3, 4))) void problems_add(struct problems *problems, const char *path,
                                                        const char *fmt, ...);

/* One line a problem: "<file>:<line>:<column>: <path>: <message>", without what is not known. */
void problems_print(const struct problems *problems, const char *file, struct buf *to);

#endif
