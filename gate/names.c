#include "names.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define TABLE_FIRST 1024 /* a power of two, as all sizes of it */

void names_done(struct names *names)
{
    buf_done(&names->text);
    free(names->table);
}

static uint64_t hash(const struct names *names, const char *path)
{
    uint64_t h = names->seed;

    for (; *path; path++) {
        h = (h ^ (unsigned char)*path) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

/* The path's place in the table, or the free one where it belongs. */
static size_t find(const struct names *names, const char *path)
{
    size_t i = hash(names, path) & (names->size - 1);

    while (names->table[i] && strcmp(names->text.data + names->table[i] - 1, path) != 0)
        i = (i + 1) & (names->size - 1);
    return i;
}

static int grow(struct names *names)
{
    size_t old_size = names->size;
    uint32_t *old = names->table, *table;

    if (!names->seed && getrandom(&names->seed, sizeof names->seed, 0) < 0)
        return -errno;
    table = calloc(old_size ? 2 * old_size : TABLE_FIRST, sizeof *table);
    if (!table)
        return -ENOMEM;
    names->size = old_size ? 2 * old_size : TABLE_FIRST;
    names->table = table;
    for (size_t i = 0; i < old_size; i++)
        if (old[i])
            table[find(names, names->text.data + old[i] - 1)] = old[i];
    free(old);
    return 0;
}

int names_add(struct names *names, const char *path)
{
    int r = 2 * names->n >= names->size ? grow(names) : 0;
    size_t i;

    if (r < 0)
        return r;
    i = find(names, path);
    if (names->table[i])
        return 0;
    names->table[i] = (uint32_t)names->text.len + 1;
    buf_add(&names->text, path, strlen(path) + 1);
    names->n++;
    return buf_error(&names->text) ? buf_error(&names->text) : 1;
}
