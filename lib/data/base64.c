#include "data/base64.h"

#include <errno.h>
#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- from bytes ---- */

/* The `n` bytes, of three, as four characters. */
static void encode_group(const uint8_t *bytes, size_t n, char to[4])
{
    uint32_t bits =
        (uint32_t)bytes[0] << 16 | (n > 1 ? (uint32_t)bytes[1] << 8 : 0) | (n > 2 ? bytes[2] : 0);

    for (size_t i = 0; i < 4; i++)
        to[i] = i <= n ? digits[bits >> (18 - 6 * i) & 63] : '=';
}

void base64_encode(const void *data, size_t len, struct buf *to)
{
    const uint8_t *bytes = data;
    char *at;

    if (len > SIZE_MAX / 2) {
        to->err = to->err ? to->err : -E2BIG;
        return;
    }
    at = buf_reserve(to, (len + 2) / 3 * 4);
    if (!at)
        return;
    for (size_t i = 0; i < len; i += 3, at += 4)
        encode_group(bytes + i, len - i < 3 ? len - i : 3, at);
    to->len += (len + 2) / 3 * 4;
    to->data[to->len] = '\0';
}

/* ---- from text ---- */

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, of which `n` are digits and the rest padding. */
static int decode_group(const char *text, size_t n, char *to)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        int value = i < n ? digit_value(text[i]) : 0;

        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
    }
    for (size_t i = 0; i + 1 < n; i++)
        to[i] = (char)(bits >> (16 - 8 * i));
    return 0;
}

int base64_decode(const char *text, size_t len, struct buf *to)
{
    size_t padding = 0, bytes;
    char *at;
    int r = 0;

    if (len % 4 != 0)
        return -EINVAL;
    if (len == 0)
        return buf_error(to);
    while (padding < 2 && text[len - 1 - padding] == '=')
        padding++;
    bytes = len / 4 * 3 - padding;
    at = buf_reserve(to, bytes);
    if (!at)
        return buf_error(to);
    for (size_t i = 0; i < len && r == 0; i += 4, at += 3)
        r = decode_group(text + i, i + 4 < len ? 4 : 4 - padding, at);
    to->len += r == 0 ? bytes : 0;
    to->data[to->len] = '\0';
    return r;
}
