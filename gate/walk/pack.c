/* Packs and their indexes: gitformat-pack(5). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "walk/odb_impl.h"

#define PACK_HEADER_LEN 12
#define PACK_TRAILER_LEN 20
#define ENTRY_HEADER_MAX 32 /* a size, and an offset or the id of a base */

/* Index files, version 2. */
#define IDX_HEADER_LEN 8
#define IDX_FANOUT_LEN 1024
#define IDX_TRAILER_LEN 40
#define IDX_OBJECTS_MAX (1u << 28)
#define OFS_DELTA 6
#define REF_DELTA 7

/* ---- bytes ---- */

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* All of `len` bytes at `offset`, or -EIO. */
static int read_at(int fd, void *to, size_t len, uint64_t offset)
{
    ssize_t n = offset > INT64_MAX - len ? -1 : pread(fd, to, len, (off_t)offset);

    return n >= 0 && (size_t)n == len ? 0 : -EIO;
}

/* ---- an index ---- */

/* The object's number; 1, 0 when it isn't there, or a negative errno. */
static int find_in_idx(const struct pack *pack, const uint8_t *id, uint32_t *number)
{
    uint8_t fanout[4], there[ODB_ID_LEN];
    uint32_t low = 0, high;

    if (id[0] > 0) {
        if (read_at(pack->idx, fanout, 4, IDX_HEADER_LEN + 4u * (id[0] - 1u)) < 0)
            return -EIO;
        low = be32(fanout);
    }
    if (read_at(pack->idx, fanout, 4, IDX_HEADER_LEN + 4u * id[0]) < 0)
        return -EIO;
    high = be32(fanout);
    if (low > high || high > pack->n)
        return -EIO;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order;

        if (read_at(pack->idx, there, sizeof there,
                    IDX_HEADER_LEN + IDX_FANOUT_LEN + (uint64_t)middle * ODB_ID_LEN) < 0)
            return -EIO;
        order = memcmp(id, there, sizeof there);
        if (order == 0) {
            *number = middle;
            return 1;
        }
        low = order > 0 ? middle + 1 : low;
        high = order < 0 ? middle : high;
    }
    return 0;
}

static int offset_of(const struct pack *pack, uint32_t number, uint64_t *ret)
{
    uint64_t table = IDX_HEADER_LEN + IDX_FANOUT_LEN + (uint64_t)pack->n * (ODB_ID_LEN + 4);
    uint8_t at[8];

    if (read_at(pack->idx, at, 4, table + 4u * (uint64_t)number) < 0)
        return -EIO;
    *ret = be32(at);
    if (!(*ret >> 31))
        return 0;
    /* The second table ends before the trailer, which this reading can't pass: the offset is
     * checked where it is used. */
    if (read_at(pack->idx, at, 8, table + 4u * (uint64_t)pack->n + 8u * (*ret & 0x7fffffff)) < 0)
        return -EIO;
    *ret = (uint64_t)be32(at) << 32 | be32(at + 4);
    return 0;
}

int pack_find(const struct pack *pack, const uint8_t *id, uint64_t *offset)
{
    uint32_t number;
    int r = find_in_idx(pack, id, &number);

    return r == 1 && offset_of(pack, number, offset) < 0 ? -EIO : r;
}

/* ---- entries ---- */

struct entry {
    unsigned type;
    uint64_t size;
    uint64_t base;    /* of a delta: where its base begins */
    uint64_t content; /* where the zlib stream begins */
};

/* "offset encoding" of gitformat-pack(5): how far before the entry its base lies. */
static int parse_distance(const uint8_t *at, size_t len, size_t *n, uint64_t *ret)
{
    uint64_t value = 0;

    for (*n = 0; *n < len && *n < 8; value++) {
        value = value << 7 | (at[*n] & 0x7f);
        if (!(at[(*n)++] & 0x80)) {
            *ret = value;
            return 0;
        }
    }
    return -EIO;
}

static int find_base(const struct pack *pack, const uint8_t *at, size_t len, uint64_t offset,
                     struct entry *entry, size_t *n)
{
    uint64_t distance;
    uint32_t number;

    if (entry->type == REF_DELTA) {
        *n = ODB_ID_LEN;
        return len >= ODB_ID_LEN && find_in_idx(pack, at, &number) == 1
                   ? offset_of(pack, number, &entry->base)
                   : -EIO;
    }
    if (parse_distance(at, len, n, &distance) < 0 || distance == 0 || distance > offset)
        return -EIO;
    entry->base = offset - distance;
    return 0;
}

static int read_entry(const struct pack *pack, uint64_t offset, struct entry *ret)
{
    uint8_t head[ENTRY_HEADER_MAX];
    size_t at = 1, more = 0;
    unsigned shift = 4;
    int r = 0;

    /* So long a rest follows each entry: the least stream and the trailer are longer. */
    if (offset < PACK_HEADER_LEN || offset > pack->pack_len - PACK_TRAILER_LEN)
        return -EIO;
    memset(head, 0, sizeof head);
    if (pread(pack->pack, head, sizeof head, (off_t)offset) <= 0)
        return -EIO;
    *ret = (struct entry){.type = head[0] >> 4 & 7, .size = head[0] & 15};
    for (uint8_t last = head[0]; last & 0x80; shift += 7) {
        if (at == 6) /* more than any that is read here */
            return -EFBIG;
        last = head[at++];
        ret->size |= (uint64_t)(last & 0x7f) << shift;
    }
    if (ret->type == OFS_DELTA || ret->type == REF_DELTA)
        r = find_base(pack, head + at, sizeof head - at, offset, ret, &more);
    else if (ret->type < ODB_COMMIT || ret->type > ODB_TAG)
        r = -EIO;
    ret->content = offset + at + more;
    return r == 0 && ret->size > ODB_OBJECT_MAX ? -EFBIG : r;
}

static int inflate_entry(struct odb *odb, const struct pack *pack, const struct entry *entry,
                         char **data)
{
    struct source from = {.fd = pack->pack, .at = entry->content};
    int r = inflate_begin(odb);

    *data = odb_room((size_t)entry->size);
    if (!*data)
        return -ENOMEM;
    return r < 0 ? r : inflate_rest(odb, &from, *data, (size_t)entry->size);
}

/* ---- deltas ---- */

static int parse_size(const uint8_t **at, const uint8_t *end, size_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; *at < end && shift < 28; shift += 7) {
        uint8_t c = *(*at)++;

        *ret |= (size_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return 0;
    }
    return -EINVAL;
}

/* The bytes of a copy's offset or size that its operation says are there. */
static int parse_part(const uint8_t **at, const uint8_t *end, unsigned bits, unsigned n,
                      size_t *ret)
{
    *ret = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!(bits >> i & 1))
            continue;
        if (*at == end)
            return -EINVAL;
        *ret |= (size_t) * (*at)++ << (8 * i);
    }
    return 0;
}

static int apply(const char *base, size_t base_len, const uint8_t *at, const uint8_t *end, char *to,
                 size_t left)
{
    while (at < end) {
        unsigned op = *at++;
        size_t from = 0, len = op;

        if (op & 0x80) {
            if (parse_part(&at, end, op & 15, 4, &from) < 0 ||
                parse_part(&at, end, op >> 4 & 7, 3, &len) < 0)
                return -EINVAL;
            len = len ? len : 0x10000;
            if (from > base_len || len > base_len - from || len > left)
                return -EINVAL;
            memcpy(to, base + from, len);
        } else {
            if (op == 0 || len > (size_t)(end - at) || len > left)
                return -EINVAL;
            memcpy(to, at, len);
            at += len;
        }
        to += len;
        left -= len;
    }
    return left == 0 ? 0 : -EINVAL;
}

int odb_apply_delta(const char *base, size_t base_len, const char *delta, size_t len, char **ret,
                    size_t *ret_len)
{
    const uint8_t *at = (const uint8_t *)delta, *end = at + len;
    size_t expected;
    char *to;

    if (parse_size(&at, end, &expected) < 0 || expected != base_len ||
        parse_size(&at, end, ret_len) < 0 || !(to = odb_room(*ret_len)))
        return -EINVAL;
    if (apply(base, base_len, at, end, to, *ret_len) < 0) {
        free(to);
        return -EINVAL;
    }
    *ret = to;
    return 0;
}

/* Replaces the object by what the delta makes of it. */
static int add_delta(struct odb *odb, const struct pack *pack, const struct entry *entry,
                     struct odb_object *object)
{
    cleanup_free char *delta = NULL;
    char *made = NULL;
    size_t len = 0;
    int r = inflate_entry(odb, pack, entry, &delta);

    if (r == 0)
        r = odb_apply_delta(object->data, object->len, delta, (size_t)entry->size, &made, &len);
    if (r < 0)
        return r;
    if (len > odb->left) {
        free(made);
        return -EFBIG;
    }
    odb->left -= len;
    free(object->data);
    object->data = made;
    object->len = len;
    return 0;
}

int pack_read(struct odb *odb, const struct pack *pack, uint64_t offset, struct odb_object *ret)
{
    struct entry chain[ODB_DEPTH_MAX];
    size_t n = 0;
    int r;

    do { /* a cycle is as deep as it wants: it ends at the cap */
        if (n == ODB_DEPTH_MAX)
            return -EFBIG;
        r = read_entry(pack, offset, &chain[n++]);
        offset = chain[n - 1].base;
    } while (r == 0 && chain[n - 1].type > ODB_TAG);
    if (r < 0)
        return r;
    n--;
    ret->kind = (enum odb_kind)chain[n].type;
    ret->len = (size_t)chain[n].size;
    r = inflate_entry(odb, pack, &chain[n], &ret->data);
    while (r == 0 && n > 0)
        r = add_delta(odb, pack, &chain[--n], ret);
    return r;
}

/* ---- files ---- */

static uint64_t size_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

static bool is_idx(const struct pack *pack, const uint8_t head[IDX_HEADER_LEN + IDX_FANOUT_LEN])
{
    static const uint8_t version_2[] = {0xff, 't', 'O', 'c', 0, 0, 0, 2};

    return memcmp(head, version_2, sizeof version_2) == 0 && pack->n <= IDX_OBJECTS_MAX &&
           pack->idx_len >= IDX_HEADER_LEN + IDX_FANOUT_LEN + (uint64_t)pack->n * (ODB_ID_LEN + 8) +
                                IDX_TRAILER_LEN;
}

int pack_open(int folder, const char *name, struct pack *pack)
{
    uint8_t head[IDX_HEADER_LEN + IDX_FANOUT_LEN];
    char pack_name[NAME_MAX + 8];

    snprintf(pack_name, sizeof pack_name, "%.*s.pack", (int)strlen(name) - 4, name);
    pack->idx = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    pack->pack = openat(folder, pack_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (pack->idx < 0 || pack->pack < 0 || read_at(pack->idx, head, sizeof head, 0) < 0)
        return -EIO;
    pack->idx_len = size_of(pack->idx);
    pack->pack_len = size_of(pack->pack);
    pack->n = be32(head + sizeof head - 4);
    return is_idx(pack, head) && pack->pack_len > PACK_HEADER_LEN + PACK_TRAILER_LEN ? 0 : -EIO;
}
