#include "data/json_text.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NOT_UTF8 "is not UTF-8"
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

int json_text_fail(struct json_text *text, const char *problem)
{
    text->problem = problem;
    return -EINVAL;
}

static int fail(struct json_text *text)
{
    return json_text_fail(text, JSON_TEXT_NOT_JSON);
}

int json_text_peek(struct json_text *text)
{
    for (; text->at < text->end; text->at++) {
        unsigned char c = (unsigned char)*text->at;

        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return c;
    }
    return JSON_TEXT_END;
}

int json_text_expect(struct json_text *text, char c)
{
    if (json_text_peek(text) != (unsigned char)c)
        return fail(text);
    text->at++;
    return 0;
}

int json_text_word(struct json_text *text, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(text->end - text->at) < len || memcmp(text->at, word, len) != 0)
        return fail(text);
    text->at += len;
    return 0;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

static bool take(struct json_text *text, const char *set)
{
    if (text->at == text->end || !*text->at || !strchr(set, *text->at))
        return false;
    text->at++;
    return true;
}

static bool take_digits(struct json_text *text)
{
    char *from = text->at;

    while (text->at < text->end && *text->at >= '0' && *text->at <= '9')
        text->at++;
    return text->at > from;
}

int json_text_number(struct json_text *text, const char **ret, uint32_t *len)
{
    *ret = text->at;
    take(text, "-");
    if (!take(text, "0") && !take_digits(text))
        return fail(text);
    if (take(text, ".") && !take_digits(text))
        return fail(text);
    if (take(text, "eE")) {
        take(text, "+-");
        if (!take_digits(text))
            return fail(text);
    }
    *len = (uint32_t)(text->at - *ret);
    return 0;
}

/* ---- UTF-8 (RFC 3629) ---------------------------------------------------------------------- */

/* The length of the sequence at `p`, 0 when it is none: overlong, a surrogate, beyond U+10FFFF or
 * cut. */
static size_t sequence(const char *p, size_t left)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (len < 2 || s[0] > 0xf4)
        return len == 1;
    if (left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

static size_t skip_ascii(const char *text, size_t at, size_t len)
{
    uint64_t bytes;

    for (; len - at >= sizeof bytes; at += sizeof bytes) {
        memcpy(&bytes, text + at, sizeof bytes);
        if (bytes & (~UINT64_C(0) / 255 * 0x80))
            break;
    }
    return at;
}

bool json_text_is_utf8(const char *text, size_t len)
{
    for (size_t at = skip_ascii(text, 0, len), n; at < len; at = skip_ascii(text, at + n, len)) {
        n = sequence(text + at, len - at);
        if (n == 0)
            return false;
    }
    return true;
}

/* Writes a code point that is no surrogate. */
static char *encode(char *to, uint32_t point)
{
    if (point < 0x80) {
        *to++ = (char)point;
    } else if (point < 0x800) {
        *to++ = (char)(0xc0 | point >> 6);
        *to++ = (char)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *to++ = (char)(0xe0 | point >> 12);
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (char)(0x80 | (point & 0x3f));
    } else {
        *to++ = (char)(0xf0 | point >> 18);
        *to++ = (char)(0x80 | (point >> 12 & 0x3f));
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (char)(0x80 | (point & 0x3f));
    }
    return to;
}

/* ---- Strings ------------------------------------------------------------------------------- */

#define EVERY_BYTE (~UINT64_C(0) / 255)

/* Nonzero when one of the eight bytes is not plain: a quote, a backslash, a control character, or
 * beyond ASCII. The lowest bit that is set is in the lowest byte that is not; of those above it
 * some may be set that should not be. */
static uint64_t special(uint64_t bytes)
{
    uint64_t quote = bytes ^ (EVERY_BYTE * '"'), backslash = bytes ^ (EVERY_BYTE * '\\');

    return ((bytes - EVERY_BYTE * 0x20) | (quote - EVERY_BYTE) | (backslash - EVERY_BYTE) | bytes) &
           (EVERY_BYTE * 0x80);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static char *skip_plain(char *at, const char *end)
{
    uint64_t bytes;

    for (; end - at >= (ptrdiff_t)sizeof bytes; at += sizeof bytes) {
        memcpy(&bytes, at, sizeof bytes);
        bytes = special(le64toh(bytes));
        if (bytes)
            return at + __builtin_ctzll(bytes) / 8;
    }
    while (at < end && is_plain((unsigned char)*at))
        at++;
    return at;
}

/* Four hexadecimal digits at text->at. */
static int take_hex(struct json_text *text, uint32_t *ret)
{
    *ret = 0;
    if (text->end - text->at < 4)
        return fail(text);
    for (int i = 0; i < 4; i++, text->at++) {
        char c = *text->at;

        if (c >= '0' && c <= '9')
            *ret = *ret << 4 | (uint32_t)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            *ret = *ret << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return fail(text);
    }
    return 0;
}

static int take_code_point(struct json_text *text, uint32_t *ret)
{
    uint32_t low;
    int r = take_hex(text, ret);

    if (r < 0)
        return r;
    if (*ret == 0)
        return json_text_fail(text, "has a NUL character in a string");
    if (*ret < 0xd800 || *ret > 0xdfff)
        return 0;
    if (*ret > 0xdbff || text->end - text->at < 2 || text->at[0] != '\\' || text->at[1] != 'u')
        return json_text_fail(text, NOT_UTF8);
    text->at += 2;
    r = take_hex(text, &low);
    if (r < 0)
        return r;
    if (low < 0xdc00 || low > 0xdfff)
        return json_text_fail(text, NOT_UTF8);
    *ret = 0x10000 + ((*ret - 0xd800) << 10 | (low - 0xdc00));
    return 0;
}

/* At the backslash. What it stands for is never longer than it. */
static int take_escape(struct json_text *text, char **to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name;
    uint32_t point;
    int r;

    text->at++;
    if (text->at == text->end || !*text->at)
        return fail(text);
    name = strchr(names, *text->at);
    if (name) {
        *(*to)++ = values[name - names];
        text->at++;
        return 0;
    }
    if (*text->at++ != 'u')
        return fail(text);
    r = take_code_point(text, &point);
    if (r == 0)
        *to = encode(*to, point);
    return r;
}

/* At what is not plain and no quote; copies it down to `to`. */
static int take_special(struct json_text *text, char **to)
{
    size_t len;

    if ((unsigned char)*text->at < 0x20)
        return fail(text);
    if (*text->at == '\\')
        return take_escape(text, to);
    len = sequence(text->at, (size_t)(text->end - text->at));
    if (len == 0)
        return json_text_fail(text, NOT_UTF8);
    memmove(*to, text->at, len);
    *to += len;
    text->at += len;
    return 0;
}

int json_text_string(struct json_text *text, const char **ret, uint32_t *len)
{
    char *to = ++text->at, *from;

    *ret = to;
    for (;;) {
        int r;

        from = text->at;
        text->at = skip_plain(from, text->end);
        if (to != from)
            memmove(to, from, (size_t)(text->at - from));
        to += text->at - from;
        if (text->at == text->end)
            return fail(text);
        if (*text->at == '"')
            break;
        r = take_special(text, &to);
        if (r < 0)
            return r;
    }
    text->at++;
    *to = '\0';
    *len = (uint32_t)(to - *ret);
    return 0;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* One special character of `left` bytes; gives how many it took. */
static size_t write_special(struct buf *to, const char *at, size_t left)
{
    size_t len = sequence(at, left);

    if (*at == '"' || *at == '\\')
        buf_add(to, (char[]){'\\', *at}, 2);
    else if (*at == '\n')
        buf_adds(to, "\\n");
    else if ((unsigned char)*at < 0x20)
        buf_addf(to, "\\u%04x", (unsigned char)*at);
    else if (len > 0)
        buf_add(to, at, len);
    else
        buf_adds(to, REPLACEMENT);
    return len ? len : 1;
}

void json_text_write(struct buf *to, const char *text, size_t len)
{
    const char *end = text + len;

    buf_reserve(to, len + 2); /* nearly always enough */
    buf_addc(to, '"');
    while (text < end) {
        const char *plain = skip_plain((char *)text, end);

        buf_add(to, text, (size_t)(plain - text));
        text = plain;
        if (text < end)
            text += write_special(to, text, (size_t)(end - text));
    }
    buf_addc(to, '"');
}
