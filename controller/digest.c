#include "digest.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/buf.h"
#include "data/json_write.h"

#define JSON_MAX (16u << 20)
#define JSON_AT_FIRST 8192 /* most objects: the text is not moved as it grows */

struct digest digest_of(const void *data, size_t len)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    struct digest digest = {0};

    if (EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL) == 1)
        memcpy(digest.bytes, hash, sizeof digest.bytes);
    return digest;
}

struct digest digest_of_json(const json_t *value)
{
    struct buf text = BUF_INIT(JSON_MAX);
    struct digest digest = {0};

    buf_reserve(&text, JSON_AT_FIRST);
    json_write(&text, value);
    if (!buf_error(&text))
        digest = digest_of(text.data, text.len);
    buf_wipe(&text);
    return digest;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    static const struct digest none;

    return memcmp(a, &none, sizeof none) != 0 && memcmp(a, b, sizeof *a) == 0;
}
