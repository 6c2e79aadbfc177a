#include "record.h"

#include <string.h>

/* The length of "<key> <object id>\n" at the start of the text, or 0. */
static size_t id_line(const char *text, size_t len, const char *key)
{
    size_t n = strlen(key), digits = 0;

    if (len < n || memcmp(text, key, n) != 0)
        return 0;
    while (n + digits < len && text[n + digits] && strchr("0123456789abcdef", text[n + digits]))
        digits++;
    return (digits == 40 || digits == 64) && n + digits < len && text[n + digits] == '\n'
               ? n + digits + 1
               : 0;
}

size_t record_ids_len(enum place place, const char *text, size_t len)
{
    size_t skip = id_line(text, len, place == PLACE_TAG ? "object " : "tree "), n;

    while (place == PLACE_COMMIT && (n = id_line(text + skip, len - skip, "parent ")))
        skip += n;
    return skip;
}

int tree_next(const char **at, const char *end, size_t id_len, struct tree_entry *ret)
{
    static const char gitlink[] = "160000";
    const char *entry = *at;
    const char *nul = entry < end ? memchr(entry, '\0', (size_t)(end - entry)) : NULL;
    const char *space = nul ? memchr(entry, ' ', (size_t)(nul - entry)) : NULL;

    if (entry == end)
        return 0;
    if (!space || (size_t)(end - nul) < id_len + 1)
        return -1;
    *ret = (struct tree_entry){.name = space + 1,
                               .id = nul + 1,
                               .gitlink = (size_t)(space - entry) == sizeof gitlink - 1 &&
                                          memcmp(entry, gitlink, sizeof gitlink - 1) == 0};
    *at = nul + 1 + id_len;
    return 1;
}
