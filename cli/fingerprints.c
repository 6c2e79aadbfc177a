#include "fingerprints.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "data/base64.h"

#define SHOWN_MAX 8
#define TYPE_MAX 64          /* "sk-ecdsa-sha2-nistp256@openssh.com" has 34 */
#define BLOB_MAX (16u << 10) /* an RSA key of 16384 bits has 2 kB */
#define ONE_MAX (TYPE_MAX + 64)

/* The next word of a line, which ends at white space. */
static size_t word(const char **at, const char **start)
{
    *start = *at + strspn(*at, " \t");
    *at = *start + strcspn(*start, " \t\r\n");
    return (size_t)(*at - *start);
}

static bool is_type(const char *text, size_t len)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-@.";

    return len > 0 && len < TYPE_MAX && strspn(text, allowed) >= len;
}

/* "type SHA256:<base64 without padding>", the digest of the key's bytes (ssh-keygen(1), -l). */
static int print_key(const char *type, size_t type_len, const char *text, size_t len,
                     struct buf *to)
{
    cleanup_buf struct buf blob = BUF_INIT(BLOB_MAX), digest = BUF_INIT(ONE_MAX);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n;

    if (base64_decode(text, len, &blob) < 0 || blob.len == 0 ||
        !EVP_Digest(blob.data, blob.len, bytes, &n, EVP_sha256(), NULL))
        return -1;
    base64_encode(bytes, n, &digest);
    buf_addf(to, "%.*s SHA256:%.*s", (int)type_len, type, (int)strcspn(digest.data, "="),
             digest.data);
    return buf_error(to);
}

static int print_line(const char *line, enum fingerprints_form form, struct buf *to)
{
    const char *at = line, *type, *key;
    size_t type_len, key_len;

    if (*line == '#')
        return -1;
    if (form == FINGERPRINTS_HOSTS)
        word(&at, &type);
    type_len = word(&at, &type);
    key_len = word(&at, &key);
    return is_type(type, type_len) && key_len ? print_key(type, type_len, key, key_len, to) : -1;
}

int fingerprints_add(struct buf *to, const char *text, enum fingerprints_form form)
{
    size_t before = to->len;
    int n = 0;

    for (const char *line = text; *line && n < SHOWN_MAX;
         line += strcspn(line, "\n"), line += !!*line) {
        cleanup_buf struct buf one = BUF_INIT(ONE_MAX);

        if (print_line(line, form, &one) < 0 || strstr(to->data + before, one.data))
            continue;
        buf_addf(to, "%s%s", n ? ", " : "", one.data);
        n++;
    }
    return n;
}
