#include "base/parse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Reads digits up to the first other character; *end points there. */
static int parse_digits(const char *text, uint64_t max, const char **end, uint64_t *ret)
{
    uint64_t value = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value) || value > max)
            return -ERANGE;
    if (p == text)
        return -EINVAL;
    *end = p;
    *ret = value;
    return 0;
}

int parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
    const char *end;
    uint64_t value;
    int r = parse_digits(text, max, &end, &value);

    if (r < 0)
        return r;
    if (*end)
        return -EINVAL;
    *ret = value;
    return 0;
}

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    {"", 1},
    {"Ki", 1ull << 10},
    {"Mi", 1ull << 20},
    {"Gi", 1ull << 30},
    {"Ti", 1ull << 40},
    {"k", 1000ull},
    {"M", 1000000ull},
    {"G", 1000000000ull},
    {"T", 1000000000000ull},
};

int parse_bytes(const char *text, uint64_t *ret)
{
    const char *end;
    uint64_t value;
    int r = parse_digits(text, UINT64_MAX, &end, &value);

    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof byte_units / sizeof *byte_units; i++) {
        if (strcmp(end, byte_units[i].suffix) != 0)
            continue;
        if (__builtin_mul_overflow(value, byte_units[i].factor, &value))
            return -ERANGE;
        *ret = value;
        return 0;
    }
    return -EINVAL;
}

/* "ms" stands before "m", so that the longer suffix wins. */
static const struct unit time_units[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60000},
    {"h", 3600000},
};

int parse_duration_ms(const char *text, uint64_t *ret)
{
    uint64_t total = 0;
    const char *p = text;

    do {
        const struct unit *unit = NULL;
        uint64_t value;
        int r = parse_digits(p, UINT64_MAX, &p, &value);

        if (r < 0)
            return r;
        for (size_t i = 0; !unit && i < sizeof time_units / sizeof *time_units; i++)
            if (strncmp(p, time_units[i].suffix, strlen(time_units[i].suffix)) == 0)
                unit = &time_units[i];
        if (!unit)
            return -EINVAL;
        p += strlen(unit->suffix);
        if (__builtin_mul_overflow(value, unit->factor, &value) ||
            __builtin_add_overflow(total, value, &total))
            return -ERANGE;
    } while (*p);
    *ret = total;
    return 0;
}
