#include "scan/record.h"

#include <string.h>
#include <sys/stat.h>

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

/* git's own reading (tree-walk.h, canon_mode): what is no file, link or folder is a submodule. */
static bool parse_mode(const char *at, const char *end, bool *gitlink)
{
    unsigned mode = 0;

    if (at == end)
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '7')
            return false;
        mode = mode << 3 | (unsigned)(*at - '0');
    }
    *gitlink = !S_ISREG(mode) && !S_ISLNK(mode) && !S_ISDIR(mode);
    return true;
}

int tree_next(const char **at, const char *end, size_t id_len, struct tree_entry *ret)
{
    const char *entry = *at;
    const char *nul = entry < end ? memchr(entry, '\0', (size_t)(end - entry)) : NULL;
    const char *space = nul ? memchr(entry, ' ', (size_t)(nul - entry)) : NULL;

    if (entry == end)
        return 0;
    *ret = (struct tree_entry){0};
    if (!space || (size_t)(end - nul) < id_len + 1 || !parse_mode(entry, space, &ret->gitlink))
        return -1;
    ret->name = space + 1;
    ret->id = nul + 1;
    *at = nul + 1 + id_len;
    return 1;
}
