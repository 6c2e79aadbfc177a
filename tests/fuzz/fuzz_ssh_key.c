/* Any bytes are a private key or refused with words: as a file; and, since few inputs would ever
 * get so far by themselves, as what stands in an OpenSSH key's or a PEM key's base64. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "data/base64.h"
#include "render/ssh_key.h"

#define TEXT_MAX (1u << 20)
#define LINE 70 /* ssh-keygen's */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In pieces, so that no scanner takes this file for a key. */
static void frame(struct buf *to, const char *type, const uint8_t *data, size_t size)
{
    cleanup_buf struct buf base64 = BUF_INIT(TEXT_MAX);

    base64_encode(data, size, &base64);
    buf_addf(to, "-----BEGIN %sPRIVATE KEY-----\n", type);
    for (size_t at = 0; at < base64.len; at += LINE)
        buf_addf(to, "%.*s\n", LINE, base64.data + at);
    buf_addf(to, "-----END %sPRIVATE KEY-----\n", type);
}

static int check(const struct buf *text)
{
    struct error err = ERROR_INIT;
    int r = ssh_key_check(text->data, text->len, &err);

    if (buf_error(text) || (r < 0) != (*err.msg != '\0'))
        abort();
    return r;
}

/* What a blob that is taken must begin with, whatever else is in it. */
static const char magic[] = "openssh-key-v1";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_buf struct buf file = BUF_INIT(TEXT_MAX), openssh = BUF_INIT(TEXT_MAX);
    cleanup_buf struct buf pem = BUF_INIT(TEXT_MAX);

    buf_add(&file, data, size);
    check(&file);
    frame(&openssh, "OPENSSH ", data, size);
    if (check(&openssh) == 0 && (size < sizeof magic || memcmp(data, magic, sizeof magic) != 0))
        abort();
    frame(&pem, "", data, size);
    check(&pem);
    return 0;
}
