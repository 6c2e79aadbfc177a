#include "ids.h"

#include <string.h>

#include "base/parse.h"

static const char digits[] = "0123456789abcdef";

bool hex_parse(const char *text, unsigned char ret[16])
{
    memset(ret, 0, 16);
    for (size_t i = 0; i < 32; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

        if (!digit) {
            memset(ret, 0, 16);
            return false;
        }
        ret[i / 2] = (unsigned char)(ret[i / 2] << 4 | (digit - digits));
    }
    return true;
}

void hex_print(const unsigned char bytes[16], char ret[33])
{
    for (size_t i = 0; i < 16; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[32] = '\0';
}

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx": where a group begins, in the text and among the digits.
 */
static const struct group {
    size_t at, digit, len;
} groups[] = {{0, 0, 8}, {9, 8, 4}, {14, 12, 4}, {19, 16, 4}, {24, 20, 12}};

#define GROUPS (sizeof groups / sizeof *groups)

struct uid uid_parse(const char *text)
{
    struct uid uid = {0};
    char hex[33] = "", again[UID_TEXT_SIZE];

    if (!text || strlen(text) != UID_TEXT_SIZE - 1)
        return uid;
    for (size_t i = 0; i < GROUPS; i++)
        memcpy(hex + groups[i].digit, text + groups[i].at, groups[i].len);
    if (!hex_parse(hex, uid.bytes))
        return uid;
    uid_print(&uid, again);
    return strcmp(again, text) == 0 ? uid : (struct uid){0};
}

void uid_print(const struct uid *uid, char ret[UID_TEXT_SIZE])
{
    char hex[33];

    hex_print(uid->bytes, hex);
    memset(ret, '-', UID_TEXT_SIZE - 1);
    ret[UID_TEXT_SIZE - 1] = '\0';
    for (size_t i = 0; i < GROUPS; i++)
        memcpy(ret + groups[i].at, hex + groups[i].digit, groups[i].len);
}

bool uid_equal(const struct uid *a, const struct uid *b)
{
    static const struct uid none;

    return memcmp(a, &none, sizeof none) != 0 && memcmp(a, b, sizeof *a) == 0;
}

uint64_t version_parse(const char *text)
{
    uint64_t version = 0;

    if (text)
        parse_u64(text, UINT64_MAX, &version);
    return version;
}
