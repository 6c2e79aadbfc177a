#include "scan/escapes.h"

#include <string.h>

#include "scan/codecs.h"

static bool hex_at(const char *p, const char *end, size_t n)
{
    if ((size_t)(end - p) < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!codec_is(p[i], HEX))
            return false;
    return true;
}

/* "(?:U\+[a-fA-F0-9]{4}(?:\s|$))+" */
const char *escapes_code_points_end(const char *p, const char *end)
{
    while ((size_t)(end - p) >= 6 && p[0] == 'U' && p[1] == '+' && hex_at(p + 2, end, 4) &&
           (p + 6 == end || codec_is(p[6], SPACE)))
        p += p + 6 == end ? 6 : 7;
    return p;
}

/* The length of "\\{1,2}u[a-fA-F0-9]{4}" (any case) at `p`, or 0. */
static size_t escape_len(const char *p, const char *end)
{
    size_t slashes = 0;

    while (slashes < 2 && (size_t)(end - p) > slashes && p[slashes] == '\\')
        slashes++;
    if (slashes == 0 || (size_t)(end - p) <= slashes || (p[slashes] | 0x20) != 'u' ||
        !hex_at(p + slashes + 1, end, 4))
        return 0;
    return slashes + 5;
}

const char *escapes_unicode_end(const char *p, const char *end)
{
    size_t n;

    while ((n = escape_len(p, end)))
        p += n;
    return p;
}

void escapes_add_unicode(const char *from, const char *end, struct buf *to)
{
    size_t n;

    for (const char *p = from; p < end; p += n) {
        n = *p == 'U' ? 7 : escape_len(p, end);
        codec_add_rune(to, codec_hex_value(*p == 'U' ? p + 2 : p + n - 4, 4));
    }
}

bool escapes_percent_at(const char *p, const char *end)
{
    return p < end && *p == '%' && hex_at(p + 1, end, 2);
}

/* "%[0-9A-Fa-f]{2}(?:.*%[0-9A-Fa-f]{2})?": to the last one on the line. */
const char *escapes_percents_end(const char *p, const char *end)
{
    const char *line_end = memchr(p, '\n', (size_t)(end - p));
    const char *last = line_end ? line_end : end;

    while ((last = memrchr(p, '%', (size_t)(last - p))) && !escapes_percent_at(last, end))
        ;
    return last + 3;
}

bool escapes_add_percents(const char *from, const char *end, struct buf *to)
{
    size_t at = to->len;

    for (const char *p = from; p < end;) {
        if (!escapes_percent_at(p, end)) {
            buf_addc(to, *p++);
            continue;
        }
        buf_addc(to, (char)codec_hex_value(p + 1, 2));
        if (buf_error(to) || !codec_printable(to->data[to->len - 1])) {
            to->len = at;
            return false;
        }
        p += 3;
    }
    return true;
}

size_t escapes_add_one(const char *p, const char *end, struct buf *to)
{
    size_t n = (size_t)(end - p), digits;
    unsigned value = 0;

    if (escapes_percent_at(p, end) ||
        (n > 3 && p[0] == '\\' && p[1] == 'x' && hex_at(p + 2, end, 2))) {
        size_t len = *p == '%' ? 3 : 4;

        buf_addc(to, (char)codec_hex_value(p + len - 2, 2));
        return len;
    }
    if (n > 3 && p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && (p[2] & ~7) == '0' &&
        (p[3] & ~7) == '0') {
        buf_addc(to, (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0')));
        return 4;
    }
    if (n > 4 && memcmp(p, "\\u{", 3) == 0) {
        for (digits = 0; digits < 6 && hex_at(p + 3 + digits, end, 1);)
            digits++;
        if (digits == 0 || n <= 3 + digits || p[3 + digits] != '}')
            return 0;
        codec_add_rune(to, codec_hex_value(p + 3, digits));
        return digits + 4;
    }
    if (n > 3 && memcmp(p, "&#", 2) == 0) {
        bool hex = (p[2] | 0x20) == 'x';
        const char *at = p + 2 + hex;

        for (digits = 0; digits < 7 && at + digits < end && codec_is(at[digits], hex ? HEX : DIGIT);
             digits++)
            value = value * (hex ? 16 : 10) + codec_hex_value(at + digits, 1);
        if (digits == 0 || at + digits >= end || at[digits] != ';')
            return 0;
        codec_add_rune(to, value);
        return (size_t)(at - p) + digits + 1;
    }
    return 0;
}
