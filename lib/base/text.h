/* What text begins and ends with. */
#ifndef GITGATE_BASE_TEXT_H
#define GITGATE_BASE_TEXT_H

#include <stdbool.h>
#include <string.h>

static inline bool text_starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static inline bool text_ends(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

#endif
