#include "digest.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/buf.h"

#define JSON_MAX (16u << 20)

struct digest digest_of(const void *data, size_t len)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    struct digest digest = {""};

    if (EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL) != 1)
        return digest;
    for (size_t i = 0; i < sizeof digest.text / 2; i++)
        snprintf(digest.text + 2 * i, 3, "%02x", hash[i]);
    return digest;
}

static int append(const char *bytes, size_t len, void *to)
{
    buf_add(to, bytes, len);
    return buf_error(to) ? -1 : 0;
}

struct digest digest_of_json(const json_t *value)
{
    struct buf text = BUF_INIT(JSON_MAX);
    struct digest digest = {""};

    if (json_dump_callback(value, append, &text, JSON_COMPACT | JSON_SORT_KEYS) == 0)
        digest = digest_of(text.data, text.len);
    buf_wipe(&text);
    return digest;
}
