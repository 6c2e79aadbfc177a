#include "walk/odb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/sha1.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "walk/odb_impl.h"

#define LOOSE_HEADER_MAX 32

/* ---- loose objects ---- */

static void name_loose(const uint8_t *id, char to[ODB_ID_LEN * 2 + 2])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < ODB_ID_LEN; i++) {
        *to++ = digits[id[i] >> 4];
        *to++ = digits[id[i] & 15];
        if (i == 0)
            *to++ = '/';
    }
    *to = '\0';
}

static const char *const kinds[] = {
    [ODB_COMMIT] = "commit", [ODB_TREE] = "tree", [ODB_BLOB] = "blob", [ODB_TAG] = "tag"};

/* "<kind> <size>" and a NUL; how long that is, or a negative errno. */
static int parse_loose_header(const char *text, size_t len, struct odb_object *ret)
{
    const char *end = memchr(text, '\0', len), *at = end ? memchr(text, ' ', len) : NULL;

    if (!at || at > end || end - at < 2 || end - at > 10)
        return -EIO;
    ret->kind = 0;
    for (int i = ODB_COMMIT; i <= ODB_TAG; i++)
        if (strncmp(text, kinds[i], (size_t)(at - text)) == 0 && !kinds[i][at - text])
            ret->kind = (enum odb_kind)i;
    ret->len = 0;
    for (at++; at < end; at++) {
        if (*at < '0' || *at > '9')
            return -EIO;
        ret->len = ret->len * 10 + (size_t)(*at - '0');
    }
    return ret->kind ? (int)(end - text) + 1 : -EIO;
}

static int inflate_loose(struct odb *odb, int fd, struct odb_object *ret)
{
    struct source from = {.fd = fd};
    char head[LOOSE_HEADER_MAX];
    size_t got = 0, here;
    int len, r = inflate_begin(odb);

    if (r == 0)
        r = inflate_some(odb, &from, head, sizeof head, &got);
    if (r < 0)
        return r;
    len = parse_loose_header(head, got, ret);
    if (len < 0)
        return len;
    ret->data = odb_room(ret->len);
    if (!ret->data)
        return -EFBIG;
    here = got - (size_t)len;
    if (here > ret->len)
        return -EIO;
    memcpy(ret->data, head + len, here);
    if (r == Z_STREAM_END)
        return here == ret->len ? 0 : -EIO;
    return inflate_rest(odb, &from, ret->data + here, ret->len - here);
}

static int read_loose(struct odb *odb, const uint8_t *id, struct odb_object *ret)
{
    char name[ODB_ID_LEN * 2 + 2];
    cleanup_close int fd = -1;

    name_loose(id, name);
    fd = openat(odb->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : inflate_loose(odb, fd, ret);
}

/* ---- a folder ---- */

static int add_pack(struct odb *odb, int folder, const char *name)
{
    size_t len = strlen(name);

    if (len < 4 || strcmp(name + len - 4, ".idx") != 0)
        return 0;
    if (odb->n == ODB_PACKS_MAX)
        return -ENOTSUP;
    odb->packs[odb->n] = (struct pack){.idx = -1, .pack = -1};
    return pack_open(folder, name, &odb->packs[odb->n++]);
}

static int open_packs(struct odb *odb)
{
    int fd = openat(odb->folder, "pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (!folder) {
        r = errno == ENOENT ? 0 : -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    for (const struct dirent *entry; r == 0 && (entry = dir_next(folder, &r));)
        r = add_pack(odb, fd, entry->d_name);
    closedir(folder);
    return r;
}

void odb_free(struct odb *odb)
{
    if (!odb)
        return;
    for (size_t i = 0; i < odb->n; i++) {
        cleanup_close_(&odb->packs[i].idx);
        cleanup_close_(&odb->packs[i].pack);
    }
    inflateEnd(&odb->stream);
    cleanup_close_(&odb->folder);
    free(odb);
}

int odb_open(const char *folder, struct odb **ret)
{
    struct odb *odb = calloc(1, sizeof *odb);
    int r = 0;

    if (!odb)
        return -ENOMEM;
    odb->left = ODB_INFLATED_MAX;
    odb->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (odb->folder < 0)
        r = -errno;
    else if (inflateInit(&odb->stream) != Z_OK)
        r = -ENOMEM;
    else if (faccessat(odb->folder, "info/alternates", F_OK, 0) == 0 || errno != ENOENT)
        r = -ENOTSUP;
    else
        r = open_packs(odb);
    if (r < 0)
        odb_free(odb);
    else
        *ret = odb;
    return r;
}

uint64_t odb_packed(const struct odb *odb)
{
    uint64_t n = 0;

    for (size_t i = 0; i < odb->n; i++)
        n += odb->packs[i].n;
    return n;
}

/* ---- objects ---- */

/* Which pack has it, and where; 1, 0, or a negative errno. */
static int locate(const struct odb *odb, const uint8_t *id, const struct pack **pack,
                  uint64_t *offset)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < odb->n; i++) {
        *pack = &odb->packs[i];
        r = pack_find(*pack, id, offset);
    }
    return r;
}

int odb_has(struct odb *odb, const uint8_t id[ODB_ID_LEN])
{
    char name[ODB_ID_LEN * 2 + 2];
    const struct pack *pack;
    uint64_t offset;

    name_loose(id, name);
    if (faccessat(odb->folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 1;
    return errno == ENOENT ? locate(odb, id, &pack, &offset) : -errno;
}

static bool is_right(const uint8_t *id, const struct odb_object *object)
{
    struct sha1_ctx context;
    uint8_t digest[ODB_ID_LEN];
    char head[LOOSE_HEADER_MAX];
    int len = snprintf(head, sizeof head, "%s %zu", kinds[object->kind], object->len) + 1;

    sha1_init(&context);
    sha1_update(&context, (size_t)len, (const uint8_t *)head);
    sha1_update(&context, object->len, (const uint8_t *)object->data);
    sha1_digest(&context, sizeof digest, digest);
    return memcmp(digest, id, sizeof digest) == 0;
}

int odb_read(struct odb *odb, const uint8_t id[ODB_ID_LEN], struct odb_object *ret)
{
    const struct pack *pack = NULL;
    uint64_t offset = 0;
    int r;

    *ret = (struct odb_object){0};
    r = read_loose(odb, id, ret);
    if (r == -ENOENT) {
        r = locate(odb, id, &pack, &offset);
        r = r == 0 ? -ENOENT : r < 0 ? r : pack_read(odb, pack, offset, ret);
    }
    if (r == 0 && !is_right(id, ret))
        r = -EIO;
    if (r < 0) {
        free(ret->data);
        *ret = (struct odb_object){0};
    }
    return r;
}
