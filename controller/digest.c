#include "digest.h"

#include <openssl/evp.h>

#include "base/buf.h"
#include "data/json_write.h"

#define JSON_MAX (16u << 20)
#define JSON_AT_FIRST 8192 /* most objects: the text is not moved as it grows */

/* Found once, for the process' life: OpenSSL 3 looks through its providers each time it is asked,
 * at the cost of hashing a kilobyte. */
static const EVP_MD *sha256(void)
{
    static EVP_MD *found;

    if (!found)
        found = EVP_MD_fetch(NULL, "SHA256", NULL);
    return found;
}

struct digest digest_of(const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    struct digest digest = {""};

    if (EVP_Digest(data, len, hash, NULL, sha256(), NULL) != 1)
        return digest;
    for (size_t i = 0; i < sizeof digest.text / 2; i++) {
        digest.text[2 * i] = digits[hash[i] >> 4];
        digest.text[2 * i + 1] = digits[hash[i] & 15];
    }
    return digest;
}

struct digest digest_of_json(const json_t *value)
{
    struct buf text = BUF_INIT(JSON_MAX);
    struct digest digest = {""};

    buf_reserve(&text, JSON_AT_FIRST);
    json_write(&text, value);
    if (!buf_error(&text))
        digest = digest_of(text.data, text.len);
    buf_wipe(&text);
    return digest;
}
