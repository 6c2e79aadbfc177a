#include "data/meant.h"

#include <string.h>
#include <strings.h>

#define SHARE 3 /* one letter in so many may differ */
#define NAME_MAX_BYTES 32

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein distance of short names. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_BYTES + 1], n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j];

            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *field_meant(const char *name, const struct field *fields)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / SHARE + 1;

    if (strlen(name) > NAME_MAX_BYTES)
        return NULL;
    for (const struct field *f = fields; f->type != FIELD_NONE; f++) {
        size_t far;

        if (strlen(f->name) > NAME_MAX_BYTES)
            continue;
        far = strcasecmp(name, f->name) == 0 ? 0 : distance(name, f->name);
        if (far < best_distance) {
            best = f->name;
            best_distance = far;
        }
    }
    return best;
}
