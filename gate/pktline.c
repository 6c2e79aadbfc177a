#include "pktline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define DIGITS 4

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static struct pkt pkt_of(enum pkt_kind kind, size_t used)
{
    return (struct pkt){.kind = kind, .used = used};
}

struct pkt pkt_parse(const char *data, size_t len)
{
    struct pkt pkt = {.kind = PKT_DATA};
    size_t total = 0;

    for (size_t i = 0; i < DIGITS; i++) {
        int digit;

        if (i == len)
            return pkt_of(PKT_MORE, 0);
        digit = hex_digit(data[i]);
        if (digit < 0)
            return pkt_of(PKT_INVALID, 0);
        total = total * 16 + (size_t)digit;
    }
    if (total == 0)
        return pkt_of(PKT_FLUSH, DIGITS);
    /* 1 to 3 are delimiters of protocol v2, which hooks don't speak. */
    if (total < DIGITS || total - DIGITS > PKT_PAYLOAD_MAX)
        return pkt_of(PKT_INVALID, 0);
    if (len < total)
        return pkt_of(PKT_MORE, 0);
    pkt.data = data + DIGITS;
    pkt.len = total - DIGITS;
    pkt.used = total;
    if (pkt.len > 0 && pkt.data[pkt.len - 1] == '\n')
        pkt.len--;
    return pkt;
}

void pkt_add(struct buf *to, const char *data, size_t len)
{
    if (len > PKT_PAYLOAD_MAX) {
        to->err = to->err ? to->err : -EMSGSIZE;
        return;
    }
    buf_addf(to, "%04zx", len + DIGITS);
    buf_add(to, data, len);
}

void pkt_addf(struct buf *to, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0) {
        to->err = to->err ? to->err : -ENOMEM;
        return;
    }
    pkt_add(to, text, (size_t)len);
    free(text);
}

void pkt_flush(struct buf *to)
{
    buf_adds(to, "0000");
}
