#include "scan/zip.h"

#include <stdint.h>
#include <string.h>

/* APPNOTE.TXT 4.3.6 to 4.3.16 */
#define LOCAL "PK\3\4"
#define SPANNED "PK\7\10PK\3\4"
#define CENTRAL "PK\1\2"
#define CENTRAL_LEN 46
#define END64 "PK\6\6"
#define END64_LEN 56
#define LOCATOR64 "PK\6\7"
#define LOCATOR64_LEN 20
#define END "PK\5\6"
#define END_LEN 22
#define COMMENT_MAX 65535
#define MAGIC_LEN 4

#define EXTRA64 1 /* 4.5.3: what doesn't fit into 32 bits */
#define IN_EXTRA64 UINT32_MAX
#define FLAG_UTF8 0x0800

struct zip {
    const char *data;
    size_t len, name_max;
    zip_fn *fn;
    void *to;
    struct error *err;
};

/* ---- numbers ---- */

static unsigned number16(const char *at)
{
    const unsigned char *p = (const unsigned char *)at;

    return p[0] | (unsigned)p[1] << 8;
}

static uint32_t number32(const char *at)
{
    return number16(at) | (uint32_t)number16(at + 2) << 16;
}

static uint64_t number64(const char *at)
{
    return number32(at) | (uint64_t)number32(at + 4) << 32;
}

/* ---- what is there ---- */

static bool is_at(const struct zip *z, uint64_t at, size_t len, const char *magic)
{
    return len <= z->len && at <= z->len - len && memcmp(z->data + at, magic, MAGIC_LEN) == 0;
}

bool zip_begins(const char *data, size_t len)
{
    const struct zip z = {.data = data, .len = len};

    return is_at(&z, 0, MAGIC_LEN, LOCAL) ||
           (is_at(&z, 0, 2 * MAGIC_LEN, SPANNED) && is_at(&z, MAGIC_LEN, MAGIC_LEN, LOCAL));
}

/* The first end at or behind `from` that may be the file's; NULL: none. */
static const char *next_end(const struct zip *z, const char *from)
{
    size_t tail = z->len < COMMENT_MAX + END_LEN ? z->len : COMMENT_MAX + END_LEN;
    const char *end = z->data + z->len, *first = end - tail;

    from = from < first ? first : from;
    from = z->len < END_LEN ? NULL : memmem(from, (size_t)(end - from), END, MAGIC_LEN);
    return from && end - from >= END_LEN ? from : NULL;
}

bool zip_ends(const char *data, size_t len)
{
    const struct zip z = {.data = data, .len = len};

    return next_end(&z, data) != NULL;
}

/* ---- members ---- */

/* The numbers of a record that may be larger than 32 bits. */
struct large {
    uint64_t unpacked, packed, at;
};

/* Those that the record has no room for stand in its extra field, in this order. */
static struct large read_large(const char *record, const char *extra, size_t len)
{
    struct large ret = {number32(record + 24), number32(record + 20), number32(record + 42)};
    uint64_t *const wanted[] = {&ret.unpacked, &ret.packed, &ret.at};
    const char *end = extra + len;

    while (end - extra >= 4) {
        const char *at = extra + 4;
        size_t n = number16(extra + 2), left = (size_t)(end - at);

        n = n < left ? n : left;
        for (size_t i = 0; number16(extra) == EXTRA64 && i < 3; i++) {
            if (*wanted[i] != IN_EXTRA64 || (size_t)(extra + 4 + n - at) < 8)
                continue;
            *wanted[i] = number64(at);
            at += 8;
        }
        extra += 4 + n;
    }
    return ret;
}

static void put16(char *to, unsigned n)
{
    to[0] = (char)(n & 0xff);
    to[1] = (char)(n >> 8 & 0xff);
}

static void put32(char *to, uint32_t n)
{
    put16(to, n & 0xffff);
    put16(to + 2, n >> 16);
}

/* 4.3.7. Nothing is encrypted, and the sizes stand here: what else the flags say is left out. */
static void make_header(struct zip_member *m, const char *record, const struct large *large)
{
    memset(m->header, 0, sizeof m->header);
    memcpy(m->header, LOCAL, MAGIC_LEN);
    memcpy(m->header + 4, record + 6, 2); /* the version that it takes */
    put16(m->header + 6, number16(record + 8) & FLAG_UTF8);
    memcpy(m->header + 8, record + 10, 2);  /* method */
    memcpy(m->header + 14, record + 16, 4); /* CRC */
    put32(m->header + 18, (uint32_t)m->len);
    put32(m->header + 22, large->unpacked < UINT32_MAX ? (uint32_t)large->unpacked : UINT32_MAX);
    put16(m->header + 26, (unsigned)m->name_len);
}

/* The record's member, whose place is off by `base` (modulo 2^64). */
static struct zip_member read_record(const struct zip *z, const char *record, uint64_t base)
{
    const char *end = z->data + z->len, *name = record + CENTRAL_LEN;
    size_t name_len = number16(record + 28), extra_len = number16(record + 30), left;
    struct zip_member m = {.name = name};
    struct large large;
    uint64_t at;

    left = (size_t)(end - name);
    name_len = name_len < left ? name_len : left;
    left -= name_len;
    large = read_large(record, name + name_len, extra_len < left ? extra_len : left);
    m.name_len = name_len < z->name_max ? name_len : z->name_max;
    at = base + large.at;
    if (!is_at(z, at, ZIP_LOCAL_LEN, LOCAL))
        return m;
    at += ZIP_LOCAL_LEN + number16(z->data + at + 26) + (uint64_t)number16(z->data + at + 28);
    at = at < z->len ? at : z->len;
    m.bytes = z->data + at;
    m.len = large.packed < z->len - at ? (size_t)large.packed : (size_t)(z->len - at);
    m.len = m.len < UINT32_MAX ? m.len : UINT32_MAX;
    make_header(&m, record, &large);
    return m;
}

static int each_record(const struct zip *z, uint64_t at, uint64_t base)
{
    int r = 0;

    while (r == 0 && is_at(z, at, CENTRAL_LEN, CENTRAL)) {
        const char *record = z->data + at;
        struct zip_member member = read_record(z, record, base);

        r = z->fn(z->to, &member, z->err);
        at += CENTRAL_LEN + number16(record + 28) + (uint64_t)number16(record + 30) +
              number16(record + 32);
    }
    return r;
}

/* ---- directories ---- */

/* One that has `size` bytes before its end, and is said to begin at `from`. Where these differ,
 * something was put before the zip file or taken away there, and places are off by as much (as
 * often as not: whoever put it there may have seen to them). */
static int each_of_directory(const struct zip *z, uint64_t end, uint64_t size, uint64_t from)
{
    int r = 0;

    if (size <= end && from != end - size)
        r = each_record(z, end - size, end - size - from);
    return r < 0 ? r : each_record(z, from, 0);
}

static int each_of_end64(const struct zip *z, uint64_t at)
{
    if (!is_at(z, at, END64_LEN, END64))
        return 0;
    return each_of_directory(z, at, number64(z->data + at + 40), number64(z->data + at + 48));
}

static int each_of_end(const struct zip *z, uint64_t at)
{
    const char *end = z->data + at;
    int r = each_of_directory(z, at, number32(end + 12), number32(end + 16));

    if (r < 0 || at < LOCATOR64_LEN || !is_at(z, at - LOCATOR64_LEN, LOCATOR64_LEN, LOCATOR64))
        return r;
    r = each_of_end64(z, number64(end - LOCATOR64_LEN + 8));
    return r < 0 || at < LOCATOR64_LEN + END64_LEN
               ? r
               : each_of_end64(z, at - LOCATOR64_LEN - END64_LEN);
}

int zip_each(const char *data, size_t len, size_t name_max, zip_fn *fn, void *to, struct error *err)
{
    const struct zip z = {
        .data = data, .len = len, .name_max = name_max, .fn = fn, .to = to, .err = err};
    int r = 0;

    for (const char *end = data; r == 0 && (end = next_end(&z, end)); end += MAGIC_LEN)
        r = each_of_end(&z, (uint64_t)(end - data));
    return r;
}
