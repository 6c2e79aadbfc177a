/* The new objects' contents: one run of `git cat-file --batch`, one object after the other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "git.h"
#include "names.h"
#include "objects_impl.h"

#define HEADER_MAX 65536 /* cat-file's line: an object id, type, size and path */

/* ---- reading them ---- */

struct reader {
    struct objects *o;
    struct child child;
    char chunk[CHUNK];
    size_t at, len; /* unread part of chunk */
    struct buf header;
    struct names names;
    /* the object at hand, out of the header */
    char oid[OID_HEX_MAX + 1];
    enum place place; /* PLACE_NAME: a tree */
    const char *path;
    uint64_t size;
};

static int refill(struct reader *in, struct error *err)
{
    ssize_t n =
        child_read(&in->child, in->chunk, sizeof in->chunk, in->o->dissection->budget.deadline_ns);

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

/* All of it; too much is refused before it is read. */
static int read_whole(struct reader *in, struct spool *to, struct error *err)
{
    if (in->size > UNPACKED_MAX - in->o->bytes)
        return error_set(err, -EFBIG,
                         "the push unpacks to more than %llu MiB, which the gate can't scan; push "
                         "it in parts",
                         UNPACKED_MAX >> 20);
    in->o->bytes += in->size;
    for (uint64_t left = in->size; left > 0;) {
        const char *data = NULL;
        size_t n = 0;
        int r = read_bytes(in, &data, left, &n, err);

        if (r == 0)
            r = spool_add(to, data, n, err);
        if (r < 0)
            return r;
        left -= n;
    }
    return 0;
}

/* ---- blobs, commits, tags ---- */

/* The length of "<key> <object id>\n" at the start of the text, or 0. Such a line is an id that git
 * has checked, no place to hide something, and 40 hex digits look like a token to some rules. */
static size_t id_line(const char *text, size_t len, const char *key)
{
    size_t n = strlen(key), digits = 0;

    if (len < n || memcmp(text, key, n) != 0)
        return 0;
    while (n + digits < len && strchr("0123456789abcdef", text[n + digits]) && text[n + digits])
        digits++;
    return (digits == 40 || digits == 64) && n + digits < len && text[n + digits] == '\n'
               ? n + digits + 1
               : 0;
}

static int take_record(const struct reader *in, const struct piece *where, struct spool *spool,
                       struct error *err)
{
    const char *text;
    size_t len, n, skip;
    int r = spool_view(spool, &text, &len, err);

    if (r < 0)
        return r;
    skip = id_line(text, len, where->place == PLACE_TAG ? "object " : "tree ");
    while (where->place == PLACE_COMMIT && (n = id_line(text + skip, len - skip, "parent ")))
        skip += n;
    return dissect_bytes(in->o->dissection, where, text + skip, len - skip, err);
}

/* ---- trees ---- */

static int take_name(struct reader *in, const struct piece *where, const char *name,
                     struct error *err)
{
    cleanup_free char *path = NULL;
    int r = asprintf(&path, "%s%s%s", in->path, *in->path ? "/" : "", name);

    if (r < 0) {
        path = NULL;
        return error_errno(err, -ENOMEM, "cannot scan the push");
    }
    r = names_add(&in->names, path);
    if (r < 0)
        return r == -E2BIG ? error_set(err, r,
                                       "the push has too many new paths, or too long ones, for the "
                                       "gate to scan; push it in parts")
                           : error_errno(err, r, "cannot scan the push");
    return r == 0 ? 0 : dissect_bytes(in->o->dissection, where, path, strlen(path), err);
}

/* Entries "<mode> <name>\0<id>". The id of a submodule's commit is the one that git doesn't check:
 * its bytes are whatever somebody wrote. */
static int take_tree(struct reader *in, const struct piece *where, struct spool *spool,
                     struct error *err)
{
    static const char gitlink[] = "160000 ";
    cleanup_buf struct buf links = BUF_INIT(UNPACKED_MAX);
    size_t raw = strlen(in->oid) / 2, len;
    const char *entry, *end;
    int r = spool_view(spool, &entry, &len, err);

    for (end = entry + len; r == 0 && entry < end;) {
        const char *nul = memchr(entry, '\0', (size_t)(end - entry));
        const char *name = nul ? memchr(entry, ' ', (size_t)(nul - entry)) : NULL;

        if (!name || (size_t)(end - nul) < raw + 1)
            return error_set(err, -EIO, "a tree of this push is malformed");
        if (strncmp(entry, gitlink, sizeof gitlink - 1) == 0)
            buf_add(&links, nul + 1, raw);
        r = take_name(in, where, name + 1, err);
        entry = nul + 1 + raw;
    }
    if (r == 0 && buf_error(&links))
        return error_errno(err, buf_error(&links), "cannot scan the push");
    return r < 0 ? r : dissect_bytes(in->o->dissection, where, links.data, links.len, err);
}

/* ---- objects ---- */

static int take_content(struct reader *in, struct error *err)
{
    cleanup_spool struct spool spool = SPOOL_INIT(in->o->dir);
    struct piece where = {
        .place = in->place, .object = in->oid, .path = in->path, .member = "", .form = ""};
    int r = read_whole(in, &spool, err);

    if (r < 0)
        return r;
    if (in->place == PLACE_BLOB)
        return dissect(in->o->dissection, &where, &spool, err);
    return in->place == PLACE_NAME ? take_tree(in, &where, &spool, err)
                                   : take_record(in, &where, &spool, err);
}

static int take_object(struct reader *in, struct error *err)
{
    const char *end = "";
    size_t n;
    int r = take_content(in, err);

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
    names_done(&in->names);
}

int objects_read(struct objects *o, struct error *err)
{
    struct reader in CLEANUP(reader_done) = {
        .o = o, .child = CHILD_INIT, .header = BUF_INIT(HEADER_MAX), .names = NAMES_INIT};
    cleanup_close int list = objects_open(o, READ_FILE, O_RDONLY, err);
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
    r = objects_expect_clean(o, child_wait(&in.child, o->dissection->budget.deadline_ns),
                             "cat-file", err);
    if (r == 0 && n != o->n)
        r = error_set(err, -EIO, "git cat-file gave %zu objects of %zu", n, o->n);
    return r;
}
