/* Where each value of a YAML document stands: a tree beside the JSON, looked up by field path. */
#ifndef GITGATE_DATA_YAML_POSITIONS_H
#define GITGATE_DATA_YAML_POSITIONS_H

#include <stddef.h>

struct yaml_positions {
    int line, column; /* 1-based; of the key in a mapping, else of the value */
    char *key;        /* owned; NULL in a sequence and at the root */
    struct yaml_positions *children;
    size_t n;
};

/* A new last child (owned by `parent`, valid until the next is added), or NULL without memory. Its
 * `key` is copied, NULL in a sequence. */
struct yaml_positions *positions_add(struct yaml_positions *parent, const char *key);

/* Frees all below and the key, not the structure itself. */
void positions_done(struct yaml_positions *positions);

/* The value that `path` ("spec.upstreams[1].url", "labels[a.b/c]") names, or the nearest parent
 * that is there. */
const struct yaml_positions *positions_find(const struct yaml_positions *root, const char *path);

#endif
