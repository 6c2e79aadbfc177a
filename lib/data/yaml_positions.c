#include "data/yaml_positions.h"

#include <stdlib.h>
#include <string.h>

/* Grown by doubling: the capacity is the next power of two. */
static int make_room(struct yaml_positions *parent)
{
    struct yaml_positions *children;

    if (parent->n & (parent->n - 1))
        return 0;
    children = reallocarray(parent->children, parent->n ? 2 * parent->n : 1, sizeof *children);
    if (!children)
        return -1;
    parent->children = children;
    return 0;
}

struct yaml_positions *positions_add(struct yaml_positions *parent, const char *key)
{
    char *copy = key ? strdup(key) : NULL;
    struct yaml_positions *child;

    if ((key && !copy) || make_room(parent) < 0) {
        free(copy);
        return NULL;
    }
    child = &parent->children[parent->n++];
    *child = (struct yaml_positions){.key = copy};
    return child;
}

void positions_done(struct yaml_positions *positions)
{
    for (size_t i = 0; i < positions->n; i++)
        positions_done(&positions->children[i]);
    free(positions->children);
    free(positions->key);
    *positions = (struct yaml_positions){0};
}

/* Keys may hold dots and brackets themselves, so it is the document that says where one ends: the
 * longest key that fits. `end` is what must follow it, '\0' for any end of a component. */
static const struct yaml_positions *find_key(const struct yaml_positions *node, const char **path,
                                             char end)
{
    const struct yaml_positions *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < node->n; i++) {
        const char *key = node->children[i].key;
        size_t len = key ? strlen(key) : 0;
        char next;

        if (!key || strncmp(*path, key, len) != 0 || (best && len <= best_len))
            continue;
        next = (*path)[len];
        if (end ? next == end : next == '\0' || next == '.' || next == '[') {
            best = &node->children[i];
            best_len = len;
        }
    }
    if (best)
        *path += best_len + (end ? 1 : 0);
    return best;
}

static const struct yaml_positions *find_index(const struct yaml_positions *node, const char **path)
{
    char *end;
    unsigned long index = strtoul(*path, &end, 10);

    if (end == *path || *end != ']' || index >= node->n || node->children[index].key)
        return NULL;
    *path = end + 1;
    return &node->children[index];
}

const struct yaml_positions *positions_find(const struct yaml_positions *root, const char *path)
{
    const struct yaml_positions *node = root;

    while (*path) {
        const struct yaml_positions *child;

        if (*path == '[') {
            path++;
            child = find_index(node, &path);
            if (!child)
                child = find_key(node, &path, ']');
        } else {
            if (*path == '.')
                path++;
            child = find_key(node, &path, '\0');
        }
        if (!child)
            return node;
        node = child;
    }
    return node;
}
