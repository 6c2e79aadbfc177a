/* A growing byte string with a mandatory cap.
 *
 * `data` is never NULL and always NUL-terminated (the NUL does not count in `len`). Errors stick:
 * after the first failed append (-E2BIG past the cap, -ENOMEM) nothing more is added and buf_error
 * tells, so a run of appends is checked once at its end. */
#ifndef GITGATE_BASE_BUF_H
#define GITGATE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct buf {
    char *data;
    size_t len;
    size_t size; /* allocated bytes; 0 while data points at a shared empty string */
    size_t max;  /* cap on len */
    int err;
};

extern char buf_empty[1];

#define BUF_INIT(cap) ((struct buf){.data = buf_empty, .max = (cap)})
#define cleanup_buf CLEANUP(buf_done)

void buf_done(struct buf *b);

/* Like buf_done, but overwrites the content first: for key material. */
void buf_wipe(struct buf *b);

/* Empties the buffer, keeps the memory, forgets the error. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
__attribute__((format(printf, 2, 3))) void buf_addf(struct buf *b, const char *fmt, ...);

/* Room for `len` more bytes at data + len, or NULL (then buf_error tells why). The caller writes
 * there and adds to `len` what it wrote. */
char *buf_reserve(struct buf *b, size_t len);

/* Gives the string to the caller (free); the buffer is empty after. NULL when an append failed. */
char *buf_take(struct buf *b);

/* In place: writers of JSON add most of their characters one by one. */
static inline void buf_addc(struct buf *b, char c)
{
    if (b->err || b->size < b->len + 2) {
        buf_add(b, &c, 1);
        return;
    }
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

/* 0, or the negative errno of the first append that failed. */
static inline int buf_error(const struct buf *b)
{
    return b->err;
}

/* UTF-8 that was cut may end within a character, and JSON would refuse it: takes the half one away.
 */
void cut_at_character(char *text);

#endif
