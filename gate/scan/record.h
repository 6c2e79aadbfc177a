/* The text of git's objects that are no blobs: where what people wrote begins, what a tree names.
 * Pure: the bytes are whatever somebody pushed. */
#ifndef GITGATE_GATE_RECORD_H
#define GITGATE_GATE_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "scan/piece.h"

/* How much of a commit's or a tag's start is ids that git has checked ("tree", "parent"s, or
 * "object"): no place to hide something, and 40 hex digits look like a token to some rules. */
size_t record_ids_len(enum place place, const char *text, size_t len);

struct tree_entry {
    const char *name; /* with a NUL behind it */
    const char *id;   /* as bytes, of the length that was given */
    bool gitlink;     /* a submodule's commit: an id that git does not check */
};

/* Takes one entry "<mode> <name>\0<id>" off [*at, end). 1, 0 at the end, -1 when it is malformed.
 */
int tree_next(const char **at, const char *end, size_t id_len, struct tree_entry *ret);

#endif
