#include "data/base64.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

void base64_encode(const void *data, size_t len, struct buf *to)
{
    char *at;

    if (len > INT_MAX / 2) {
        to->err = to->err ? to->err : -E2BIG;
        return;
    }
    at = buf_reserve(to, (len + 2) / 3 * 4);
    if (at)
        to->len += (size_t)EVP_EncodeBlock((unsigned char *)at, data, (int)len);
}

/* EVP_DecodeBlock alone would also take white space and forget how much of the end is padding. */
static int check_form(const char *text, size_t len, size_t *padding)
{
    size_t n = len;

    if (len % 4 != 0 || len > INT_MAX)
        return -EINVAL;
    while (n > 0 && len - n < 2 && text[n - 1] == '=')
        n--;
    *padding = len - n;
    for (size_t i = 0; i < n; i++)
        if (!isascii(text[i]) || (!isalnum(text[i]) && text[i] != '+' && text[i] != '/'))
            return -EINVAL;
    return 0;
}

int base64_decode(const char *text, size_t len, struct buf *to)
{
    size_t padding;
    char *at;
    int r = check_form(text, len, &padding);

    if (r < 0)
        return r;
    if (len == 0)
        return buf_error(to);
    at = buf_reserve(to, len / 4 * 3);
    if (!at)
        return buf_error(to);
    r = EVP_DecodeBlock((unsigned char *)at, (const unsigned char *)text, (int)len);
    if (r < 0)
        return -EINVAL;
    to->len += (size_t)r - padding;
    to->data[to->len] = '\0';
    return 0;
}
