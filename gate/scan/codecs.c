#include "scan/codecs.h"

const unsigned char codec_classes[256] = {
    ['0' ... '9'] = WORD | HEX | DIGIT,
    ['a' ... 'f'] = WORD | HEX,
    ['A' ... 'F'] = WORD | HEX,
    ['g' ... 'z'] = WORD,
    ['G' ... 'Z'] = WORD,
    ['_'] = WORD | BASE64_SIGN,
    ['-'] = WORD | BASE64_SIGN,
    ['+'] = WORD | BASE64_SIGN,
    ['/'] = WORD | BASE64_SIGN,
    [' '] = SPACE,
    ['\t'] = SPACE,
    ['\n'] = SPACE,
    ['\f'] = SPACE,
    ['\r'] = SPACE,
};

/* The length of a character of UTF-8 beyond ASCII that begins at `p`, or 0. By its form alone: what
 * looks so is text to who looks for text. */
static size_t letter_at(const char *p, const char *end)
{
    unsigned char first = (unsigned char)*p;
    size_t len = first >= 0xc2 && first < 0xe0   ? 2
                 : first >= 0xe0 && first < 0xf0 ? 3
                 : first >= 0xf0 && first < 0xf5 ? 4
                                                 : 0;

    if (len == 0 || (size_t)(end - p) < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

static size_t text_at(const char *p, const char *end)
{
    if (p == end)
        return 0;
    return codec_text(*p) ? 1 : letter_at(p, end);
}

static size_t text_before(const char *text, const char *p)
{
    if (p == text)
        return 0;
    if (codec_text(p[-1]))
        return 1;
    for (size_t len = 2; len <= CODEC_RUNE_MAX && len <= (size_t)(p - text); len++)
        if (letter_at(p - len, p) == len)
            return len;
    return 0;
}

bool codec_in_text(const char *text, const char *end, const char *from, const char *to)
{
    size_t row = (size_t)(to - from), n;

    for (; row < CODEC_ROW_MIN && (n = text_before(text, from)) > 0; from -= n)
        row += n;
    for (; row < CODEC_ROW_MIN && (n = text_at(to, end)) > 0; to += n)
        row += n;
    return row >= CODEC_ROW_MIN;
}

static unsigned nibble(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

uint32_t codec_hex_value(const char *digits, size_t n)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 4 | nibble(digits[i]);
    return value;
}

/* One more than the value in the standard alphabet or the one for URLs; 0: no such character. */
// clang-format off
static const unsigned char sixes[256] = {
    ['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
    ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
    ['+'] = 63, ['-'] = 63, ['/'] = 64, ['_'] = 64,
};
// clang-format on

void codec_add_base64(struct buf *to, const char *from, const char *end)
{
    unsigned char *out = (unsigned char *)buf_reserve(to, (size_t)(end - from) / 4 * 3 + 3);
    unsigned bits = 0, n = 0;

    if (!out)
        return;
    for (const char *p = from; p < end; p++) {
        unsigned six = sixes[(unsigned char)*p];

        if (!six)
            continue;
        bits = bits << 6 | (six - 1);
        if (++n % 4 == 0) {
            *out++ = (unsigned char)(bits >> 16);
            *out++ = (unsigned char)(bits >> 8);
            *out++ = (unsigned char)bits;
        }
    }
    if (n % 4 > 1)
        *out++ = (unsigned char)(bits >> (n % 4 == 2 ? 4 : 10));
    if (n % 4 == 3)
        *out++ = (unsigned char)(bits >> 2);
    to->len = (size_t)((char *)out - to->data);
    to->data[to->len] = '\0';
}

void codec_add_hex(struct buf *to, const char *from, const char *end)
{
    unsigned char *out = (unsigned char *)buf_reserve(to, (size_t)(end - from) / 2 + 1);
    unsigned n = 0, byte = 0;

    if (!out)
        return;
    for (const char *p = from; p < end; p++) {
        if (!codec_is(*p, HEX))
            continue;
        byte = byte << 4 | nibble(*p);
        if (++n % 2 == 0)
            *out++ = (unsigned char)byte;
    }
    to->len = (size_t)((char *)out - to->data);
    to->data[to->len] = '\0';
}

char *codec_put_rune(char *to, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = 0xfffd;
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (c & 0x3f));
    return to;
}

void codec_add_rune(struct buf *to, uint32_t c)
{
    char utf8[CODEC_RUNE_MAX];

    buf_add(to, utf8, (size_t)(codec_put_rune(utf8, c) - utf8));
}
