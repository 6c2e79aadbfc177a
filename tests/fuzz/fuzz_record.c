/* Any bytes are a commit, a tag and a tree, or malformed: all that is read of them lies in them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scan/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is passed over is ids from end to end: nothing else may go unseen. */
static void check_ids(enum place place, const char *text, size_t len)
{
    size_t ids = record_ids_len(place, text, len);

    if (ids > len || (ids > 0 && text[ids - 1] != '\n'))
        abort();
    for (const char *line = text, *end; line < text + ids; line = end + 1) {
        const char *id = memchr(line, ' ', ids - (size_t)(line - text));

        end = memchr(line, '\n', ids - (size_t)(line - text));
        if (!id || (end - id != 41 && end - id != 65))
            abort();
        while (++id < end)
            if (!(*id >= '0' && *id <= '9') && !(*id >= 'a' && *id <= 'f'))
                abort();
    }
}

static void check_tree(const char *text, size_t len, size_t id_len)
{
    const char *at = text, *end = text + len, *before = text;
    struct tree_entry entry;
    int r;

    while ((r = tree_next(&at, end, id_len, &entry)) > 0) {
        if (entry.name <= before || entry.id != entry.name + strlen(entry.name) + 1 ||
            entry.id + id_len != at || at > end)
            abort();
        before = at;
    }
    if (r == 0 && at != end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_ids(PLACE_COMMIT, (const char *)data, size);
    check_ids(PLACE_TAG, (const char *)data, size);
    check_tree((const char *)data, size, 20);
    check_tree((const char *)data, size, 32);
    return 0;
}
