#include "render/ssh_key.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "data/base64.h"

/* In two pieces, so that no scanner takes this file for a key. */
#define BEGIN                                                                                      \
    "-----BEGIN OPENSSH PRIVATE"                                                                   \
    " KEY-----"
#define END                                                                                        \
    "-----END OPENSSH PRIVATE"                                                                     \
    " KEY-----"
#define MAGIC "openssh-key-v1" /* with its NUL */
#define KEY_MAX (64u << 10)

static int encrypted(struct error *err)
{
    return error_set(err, -EINVAL,
                     "is locked with a passphrase, which nobody can enter in a pod: use a key "
                     "without one (ssh-keygen -p takes it away)");
}

static int damaged(struct error *err, const char *how)
{
    return error_set(err, -EINVAL, "is damaged: %s; create the Secret again from the key's file",
                     how);
}

/* ---- OpenSSH's own format ----------------------------------------------------------------- */

struct reader {
    const unsigned char *at, *end;
};

static bool take_u32(struct reader *reader, uint32_t *ret)
{
    const unsigned char *at = reader->at;

    if (reader->end - at < 4)
        return false;
    *ret = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    reader->at += 4;
    return true;
}

static bool take_string(struct reader *reader, struct reader *ret)
{
    uint32_t len;

    if (!take_u32(reader, &len) || len > (size_t)(reader->end - reader->at))
        return false;
    *ret = (struct reader){reader->at, reader->at + len};
    reader->at += len;
    return true;
}

static bool is_text(const struct reader *reader, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(reader->end - reader->at) == len && memcmp(reader->at, text, len) == 0;
}

/* Two numbers that are the same when it was decrypted rightly (or never encrypted), and a key. */
static bool is_private_part(struct reader part)
{
    uint32_t a, b;
    struct reader type;

    return take_u32(&part, &a) && take_u32(&part, &b) && a == b && take_string(&part, &type) &&
           type.at < type.end && part.at < part.end;
}

static int check_blob(const struct buf *blob, struct error *err)
{
    struct reader reader = {(const unsigned char *)blob->data,
                            (const unsigned char *)blob->data + blob->len};
    struct reader cipher, kdf, options, public_part, private_part;
    uint32_t n;

    if (blob->len < sizeof MAGIC || memcmp(blob->data, MAGIC, sizeof MAGIC) != 0)
        return damaged(err, "it does not begin as OpenSSH's keys do");
    reader.at += sizeof MAGIC;
    if (!take_string(&reader, &cipher) || !take_string(&reader, &kdf) ||
        !take_string(&reader, &options) || !take_u32(&reader, &n))
        return damaged(err, "its head is cut short");
    if (!is_text(&cipher, "none") || !is_text(&kdf, "none"))
        return encrypted(err);
    if (n != 1 || !take_string(&reader, &public_part) || !take_string(&reader, &private_part))
        return damaged(err, "its end is missing");
    if (!is_private_part(private_part) || reader.at != reader.end)
        return damaged(err, "some of it was changed");
    return 0;
}

/* ssh wants the first line at the file's very beginning, and LF behind it and behind the last. */
static int check_openssh(const char *text, size_t len, struct error *err)
{
    struct buf base64 CLEANUP(buf_wipe) = BUF_INIT(KEY_MAX);
    struct buf blob CLEANUP(buf_wipe) = BUF_INIT(KEY_MAX);
    const char *body = text + sizeof BEGIN - 1, *end = strstr(text, END);

    if (strncmp(text, BEGIN, sizeof BEGIN - 1) != 0)
        return damaged(err, "something stands before its first line");
    if (strstr(body, "\r"))
        return error_set(err, -EINVAL,
                         "has lines that end with CR LF, which OpenSSH does not read: convert the "
                         "file (sed -i 's/\\r$//') and create the Secret again");
    if (!end || *body != '\n' || end[sizeof END - 1] != '\n')
        return damaged(err, "its first or last line is not whole");
    /* Never moved while they grow: that would leave copies behind. */
    if (!buf_reserve(&base64, len) || !buf_reserve(&blob, len))
        return buf_error(&base64) == -E2BIG ? damaged(err, "it is too large to be a key") : -ENOMEM;
    for (const char *at = body; at < end; at++)
        if (*at != '\n')
            buf_addc(&base64, *at);
    if (base64_decode(base64.data, base64.len, &blob) < 0)
        return damaged(err, "what stands between its first and last line is not base64");
    return check_blob(&blob, err);
}

/* ---- PEM ---------------------------------------------------------------------------------- */

static int no_passphrase(char *to, int size, int writing, void *asked)
{
    (void)to;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static bool is_known_type(const EVP_PKEY *key)
{
    int type = EVP_PKEY_get_base_id(key);

    return type == EVP_PKEY_RSA || type == EVP_PKEY_EC || type == EVP_PKEY_ED25519;
}

static int check_pem(const char *text, size_t len, struct error *err)
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    bool asked = false;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked) : NULL;
    int r = 0;

    if (!bio)
        r = error_set(err, -ENOMEM, "memory is short");
    else if (asked)
        r = encrypted(err);
    else if (!key)
        r = damaged(err, "OpenSSL can't read it");
    else if (!is_known_type(key))
        r = error_set(err, -EINVAL,
                      "is of a type that OpenSSH does not use: make an ed25519, ECDSA or RSA key");
    EVP_PKEY_free(key); /* wipes it */
    BIO_free(bio);
    ERR_clear_error();
    return r;
}

int ssh_key_check(const char *text, size_t len, struct error *err)
{
    if (len > KEY_MAX)
        return damaged(err, "it is too large to be a key");
    /* What people paste by mistake is the public half. */
    if (!strstr(text, "-----BEGIN ") || !strstr(text, "PRIVATE KEY-----"))
        return error_set(err, -EINVAL,
                         "holds no private key (\"-----BEGIN ... PRIVATE KEY-----\")");
    return strstr(text, BEGIN) ? check_openssh(text, len, err) : check_pem(text, len, err);
}
