#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char buf_empty[1];

void buf_done(struct buf *b)
{
    if (b->size)
        free(b->data);
    *b = BUF_INIT(b->max);
}

void buf_wipe(struct buf *b)
{
    if (b->size)
        explicit_bzero(b->data, b->size);
    buf_done(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->err = 0;
    if (b->size)
        b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t len)
{
    size_t need, size;
    char *data;

    if (b->err)
        return NULL;
    if (len > b->max - b->len) {
        b->err = -E2BIG;
        return NULL;
    }
    need = b->len + len + 1;
    if (need <= b->size)
        return b->data + b->len;
    size = b->size ? b->size : 64;
    while (size < need)
        size *= 2;
    if (size > b->max + 1)
        size = b->max + 1;
    /* Not realloc: a wiped buffer must not leave a copy of its content behind. */
    data = malloc(size);
    if (!data) {
        b->err = -ENOMEM;
        return NULL;
    }
    memcpy(data, b->data, b->len + 1);
    if (b->size) {
        explicit_bzero(b->data, b->len);
        free(b->data);
    }
    b->data = data;
    b->size = size;
    return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    char *to = buf_reserve(b, len);

    if (!to)
        return;
    if (len)
        memcpy(to, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *to;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0) {
        b->err = -EINVAL;
        return;
    }
    to = buf_reserve(b, (size_t)len);
    if (!to)
        return;
    va_start(ap, fmt);
    vsnprintf(to, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
}

char *buf_take(struct buf *b)
{
    char *data;

    if (b->err)
        return NULL;
    data = b->size ? b->data : calloc(1, 1);
    *b = BUF_INIT(b->max);
    return data;
}

/* https://www.rfc-editor.org/rfc/rfc3629#section-3 */
void cut_at_character(char *text)
{
    size_t len = strlen(text), begin = len, wanted;
    unsigned char first;

    while (begin && ((unsigned char)text[begin - 1] & 0xc0) == 0x80)
        begin--;
    if (!begin)
        return;
    first = (unsigned char)text[begin - 1];
    wanted = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    if (len - begin < wanted)
        text[begin - 1] = '\0';
}
