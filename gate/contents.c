/* The new objects' contents: one run of `git cat-file --batch`, a file for each object. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/parse.h"
#include "git.h"
#include "objects_impl.h"

#define TEXT_SUFFIX "-text" /* the copy without NUL bytes */
#define HEADER_MAX 65536    /* cat-file's line: an object id, type, size and path */

/* ---- reading them ---- */

struct reader {
    struct objects *o;
    struct child child;
    char chunk[CHUNK];
    size_t at, len; /* unread part of chunk */
    struct buf header;
    /* the object at hand, out of the header */
    char oid[OID_HEX_MAX + 1];
    enum place place; /* PLACE_NAME: a tree */
    const char *path;
    uint64_t size;
};

static int refill(struct reader *in, struct error *err)
{
    ssize_t n = child_read(&in->child, in->chunk, sizeof in->chunk, in->o->deadline_ns);

    if (n == -ETIMEDOUT)
        return objects_expect_clean(in->o, -ETIMEDOUT, "cat-file", err);
    if (n < 0)
        return error_errno(err, (int)n, "cannot read from git");
    in->at = 0;
    in->len = (size_t)n;
    return n > 0;
}

static int read_bytes(struct reader *in, const char **data, uint64_t wanted, size_t *got,
                      struct error *err)
{
    int r = in->at < in->len ? 1 : refill(in, err);

    if (r <= 0)
        return r < 0 ? r : error_set(err, -EIO, "git cat-file ended early");
    *data = in->chunk + in->at;
    *got = in->len - in->at < wanted ? in->len - in->at : (size_t)wanted;
    in->at += *got;
    return 0;
}

/* 1 with a header, 0 at the end. */
static int read_header(struct reader *in, struct error *err)
{
    buf_reset(&in->header);
    for (;;) {
        const char *end;
        size_t n;

        if (in->at == in->len) {
            int r = refill(in, err);

            if (r < 0)
                return r;
            if (r == 0)
                return in->header.len ? error_set(err, -EIO, "git cat-file ended early") : 0;
        }
        end = memchr(in->chunk + in->at, '\n', in->len - in->at);
        n = (end ? (size_t)(end - in->chunk) : in->len) - in->at;
        buf_add(&in->header, in->chunk + in->at, n);
        in->at += n + (end ? 1 : 0);
        if (buf_error(&in->header))
            return error_set(err, -E2BIG, "a path in this push is longer than the gate can read");
        if (end)
            return 1;
    }
}

/* "<oid> <type> <size> <path>" */
static int parse_header(struct reader *in, struct error *err)
{
    static const char *const types[] = {[PLACE_BLOB] = "blob",
                                        [PLACE_COMMIT] = "commit",
                                        [PLACE_TAG] = "tag",
                                        [PLACE_NAME] = "tree"};
    char *save = NULL, *oid = strtok_r(in->header.data, " ", &save);
    char *type = strtok_r(NULL, " ", &save), *size = strtok_r(NULL, " ", &save);

    in->place = PLACE_NONE;
    for (size_t i = PLACE_BLOB; type && i <= PLACE_NAME; i++)
        if (strcmp(type, types[i]) == 0)
            in->place = (enum place)i;
    if (!size || in->place == PLACE_NONE || strlen(oid) > OID_HEX_MAX ||
        parse_u64(size, UINT64_MAX, &in->size) < 0)
        return error_set(err, -EIO, "git can't read an object of this push");
    snprintf(in->oid, sizeof in->oid, "%s", oid);
    in->path = save ? save : "";
    return 0;
}

/* ---- blobs ---- */

/* The few rules of gitleaks that look at a file's name must see it. */
static const char *telling_suffix(const char *path)
{
    static const char *const endings[] = {".php", ".tf",  ".hcl", ".yaml",
                                          ".yml", ".p12", ".pfx", "nuget.config"};
    size_t len = strlen(path);

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);

        if (len >= n && strcasecmp(path + len - n, endings[i]) == 0)
            return endings[i];
    }
    return "";
}

/* UTF-16 and UTF-32 without their NUL bytes are ASCII where they were ASCII, in either order and
 * with or without a byte order mark; a word that NUL bytes were put into is whole again. */
static int write_without_nuls(struct objects *o, const char *name, struct error *err)
{
    char from[NAME_MAX], to[NAME_MAX], chunk[CHUNK];
    cleanup_close int in = -1, out = -1;
    ssize_t n;

    snprintf(from, sizeof from, SCAN_DIR "/%.150s", name);
    snprintf(to, sizeof to, "%.200s" TEXT_SUFFIX, from);
    in = objects_open(o, from, O_RDONLY, err);
    out = in < 0 ? -1 : objects_open(o, to, O_WRONLY | O_CREAT | O_EXCL, err);
    if (out < 0)
        return -EIO;
    while ((n = read(in, chunk, sizeof chunk)) > 0) {
        size_t kept = 0;
        int r;

        for (ssize_t i = 0; i < n; i++)
            if (chunk[i])
                chunk[kept++] = chunk[i];
        r = objects_append(o, out, chunk, kept, err);
        if (r < 0)
            return r;
    }
    return n < 0 ? error_errno(err, -errno, "cannot read the scan's files") : 0;
}

static int take_blob(struct reader *in, struct error *err)
{
    char name[NAME_MAX / 2], in_scan[NAME_MAX];
    uint64_t left = in->size;
    cleanup_close int fd = -1;
    bool nuls = false;
    int r;

    snprintf(name, sizeof name, "%s%s", in->oid, telling_suffix(in->path));
    snprintf(in_scan, sizeof in_scan, SCAN_DIR "/%s", name);
    fd = objects_open(in->o, in_scan, O_WRONLY | O_CREAT | O_EXCL, err);
    if (fd < 0)
        return fd;
    r = objects_append(in->o, fd, LEAD, LEAD_LEN, err);
    while (r == 0 && left > 0) {
        const char *data;
        size_t n;

        r = read_bytes(in, &data, left, &n, err);
        if (r < 0)
            return r;
        nuls = nuls || memchr(data, '\0', n);
        r = objects_append(in->o, fd, data, n, err);
        left -= n;
    }
    return r == 0 && nuls ? write_without_nuls(in->o, name, err) : r;
}

/* ---- commits, tags, trees ---- */

static int read_whole(struct reader *in, struct buf *to, struct error *err)
{
    uint64_t left = in->size;

    if (in->size > OBJECT_MAX)
        return error_set(err, -EFBIG, "a tree, commit or tag of this push is larger than %u MiB",
                         OBJECT_MAX >> 20);
    while (left > 0) {
        const char *data = NULL;
        size_t n = 0;
        int r = read_bytes(in, &data, left, &n, err);

        if (r < 0)
            return r;
        buf_add(to, data, n);
        left -= n;
    }
    return buf_error(to) ? error_errno(err, buf_error(to), "cannot read from git") : 0;
}

/* The length of "<key> <object id>\n" at the start of the text, or 0. Such a line is an id that git
 * has checked, no place to hide something, and 40 hex digits look like a token to some rules. */
static size_t id_line(const char *text, const char *key)
{
    size_t len = strlen(key), digits;

    if (strncmp(text, key, len) != 0)
        return 0;
    digits = strspn(text + len, "0123456789abcdef");
    return (digits == 40 || digits == 64) && text[len + digits] == '\n' ? len + digits + 1 : 0;
}

static int take_record(struct reader *in, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(OBJECT_MAX);
    int r = read_whole(in, &text, err);
    char name[NAME_MAX / 2];
    size_t skip, n;

    if (r < 0)
        return r;
    snprintf(name, sizeof name, "%s%s", in->oid,
             in->place == PLACE_TAG ? TAG_SUFFIX : COMMIT_SUFFIX);
    skip = id_line(text.data, in->place == PLACE_TAG ? "object " : "tree ");
    while (in->place == PLACE_COMMIT && (n = id_line(text.data + skip, "parent ")))
        skip += n;
    r = objects_put(in->o, name, text.data + skip, text.len - skip, err);
    if (r == 0 && memchr(text.data, '\0', text.len))
        r = write_without_nuls(in->o, name, err);
    return r;
}

static int add_name(struct objects *o, const char *dir, const char *name, const char *object,
                    struct error *err)
{
    if (o->n_names == o->size_names) {
        size_t size = o->size_names ? 2 * o->size_names : 1024;
        struct new_path *list = realloc(o->list, size * sizeof *list);

        if (!list)
            return error_errno(err, -ENOMEM, "cannot list the paths");
        o->list = list;
        o->size_names = size;
    }
    o->list[o->n_names].path = o->names.len;
    buf_addf(&o->names, "%s%s%s", dir, *dir ? "/" : "", name);
    buf_addc(&o->names, '\0');
    o->list[o->n_names++].object = o->names.len;
    buf_adds(&o->names, object);
    buf_addc(&o->names, '\0');
    if (buf_error(&o->names))
        return error_set(err, -EFBIG,
                         "the push has more new paths than the gate can scan; push it in parts");
    return 0;
}

/* Entries "<mode> <name>\0<raw object id>" (gitformat-tree): names may hold any other byte. */
static int take_tree(struct reader *in, struct error *err)
{
    cleanup_buf struct buf tree = BUF_INIT(OBJECT_MAX);
    size_t raw = strlen(in->oid) / 2;
    int r = read_whole(in, &tree, err);

    for (size_t at = 0; r == 0 && at < tree.len;) {
        const char *entry = tree.data + at;
        const char *end = memchr(entry, '\0', tree.len - at);
        const char *name = end ? memchr(entry, ' ', (size_t)(end - entry)) : NULL;

        if (!name || (size_t)(tree.data + tree.len - end) < raw + 1)
            return error_set(err, -EIO, "a tree of this push is malformed");
        r = add_name(in->o, in->path, name + 1, in->oid, err);
        at = (size_t)(end - tree.data) + 1 + raw;
    }
    return r;
}

static int take_object(struct reader *in, struct error *err)
{
    const char *end = "";
    size_t n;
    int r;

    if (in->place == PLACE_BLOB)
        r = take_blob(in, err);
    else
        r = in->place == PLACE_NAME ? take_tree(in, err) : take_record(in, err);
    if (r == 0)
        r = read_bytes(in, &end, 1, &n, err); /* the line end that cat-file puts behind */
    if (r == 0 && *end != '\n')
        r = error_set(err, -EIO, "git cat-file lost its place");
    return r;
}

static void reader_done(struct reader *in)
{
    child_done(&in->child);
    buf_done(&in->header);
}

int objects_read(struct objects *o, struct error *err)
{
    struct reader in CLEANUP(reader_done) = {
        .o = o, .child = CHILD_INIT, .header = BUF_INIT(HEADER_MAX)};
    cleanup_close int list = objects_open(o, LIST_FILE, O_RDONLY, err);
    size_t n = 0;
    int r;

    if (list < 0)
        return list;
    r = objects_start_git(
        o, GIT("cat-file", "--buffer", "--batch=%(objectname) %(objecttype) %(objectsize) %(rest)"),
        list, &in.child, err);
    while (r == 0 && (r = read_header(&in, err)) > 0) {
        r = parse_header(&in, err);
        if (r == 0)
            r = take_object(&in, err);
        n++;
    }
    if (r < 0)
        return r;
    r = objects_expect_clean(o, child_wait(&in.child, o->deadline_ns), "cat-file", err);
    if (r == 0 && n != o->n)
        r = error_set(err, -EIO, "git cat-file gave %zu objects of %zu", n, o->n);
    return r;
}
