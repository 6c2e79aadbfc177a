/* A private key in OpenSSH's format that is right in form and opens nothing: made at run time, so
 * that no file of the project holds one. */
#ifndef GITGATE_TESTS_PRIVATE_KEY_H
#define GITGATE_TESTS_PRIVATE_KEY_H

#include <string.h>

#include "base/buf.h"
#include "data/base64.h"

struct key_form {
    const char *cipher; /* "none" */
    unsigned number;    /* 1 */
    unsigned check;     /* of the second check number; the first is 7 */
    const char *line_end;
};
#define KEY_FORM ((struct key_form){"none", 1, 7, "\n"})

static inline void add_u32(struct buf *to, unsigned value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_addc(to, (char)(value >> shift));
}

static inline void add_string(struct buf *to, const void *data, size_t len)
{
    add_u32(to, (unsigned)len);
    buf_add(to, data, len);
}

/* The file's text, with an end of its last line. */
static inline void add_private_key(struct buf *to, const struct key_form *form)
{
    cleanup_buf struct buf blob = BUF_INIT(1000), part = BUF_INIT(1000), base64 = BUF_INIT(2000);
    static const char public_part[51];

    add_u32(&part, 7);
    add_u32(&part, form->check);
    add_string(&part, "ssh-ed25519", 11);
    add_string(&part, public_part, 32);
    buf_add(&blob, "openssh-key-v1", 15);
    add_string(&blob, form->cipher, strlen(form->cipher));
    add_string(&blob, "none", 4);
    add_string(&blob, "", 0);
    add_u32(&blob, form->number);
    add_string(&blob, public_part, sizeof public_part);
    add_string(&blob, part.data, part.len);
    base64_encode(blob.data, blob.len, &base64);
    buf_addf(to, "-----BEGIN OPENSSH %s KEY-----%s", "PRIVATE", form->line_end);
    for (size_t at = 0; at < base64.len; at += 70)
        buf_addf(to, "%.70s%s", base64.data + at, form->line_end);
    buf_addf(to, "-----END OPENSSH %s KEY-----%s", "PRIVATE", form->line_end);
}

#endif
