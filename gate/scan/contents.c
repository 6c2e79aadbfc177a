/* The new objects' contents, one after the other: of a walk, which has them, or of one run of
 * `git cat-file --batch`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "git.h"
#include "names.h"
#include "scan/objects_impl.h"
#include "scan/record.h"

/* git hands on a larger blob as it reads it, rather than take all of it into memory first. */
#define STREAMED "-c", "core.bigFileThreshold=1m"
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

static int take_record(const struct reader *in, const struct piece *where, struct spool *spool,
                       struct error *err)
{
    struct piece behind = *where;
    const char *text;
    size_t len;
    int r = spool_view(spool, &text, &len, err);

    if (r < 0)
        return r;
    behind.offset = record_ids_len(where->place, text, len);
    return dissect_bytes(in->o->dissection, &behind, text + behind.offset, len - behind.offset,
                         err);
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

/* The ids of submodules' commits are the ones that git doesn't check: their bytes are whatever
 * somebody wrote. */
static int take_tree(struct reader *in, const struct piece *where, struct spool *spool,
                     struct error *err)
{
    cleanup_buf struct buf links = BUF_INIT(UNPACKED_MAX);
    size_t id_len = strlen(in->oid) / 2, len;
    struct tree_entry entry;
    const char *at;
    int r = spool_view(spool, &at, &len, err), more = 0;

    for (const char *end = at + len; r == 0 && (more = tree_next(&at, end, id_len, &entry)) > 0;) {
        if (entry.gitlink)
            buf_add(&links, entry.id, id_len);
        r = take_name(in, where, entry.name, err);
    }
    if (r == 0 && more < 0)
        return error_set(err, -EIO, "a tree of this push is malformed");
    if (r == 0 && buf_error(&links))
        return error_errno(err, buf_error(&links), "cannot scan the push");
    return r < 0 ? r : dissect_bytes(in->o->dissection, where, links.data, links.len, err);
}

/* ---- objects ---- */

static int take_spooled(struct reader *in, struct spool *spool, struct error *err)
{
    struct piece where = {
        .place = in->place, .object = in->oid, .path = in->path, .member = "", .form = ""};

    if (in->place == PLACE_BLOB)
        return dissect(in->o->dissection, &where, spool, err);
    return in->place == PLACE_NAME ? take_tree(in, &where, spool, err)
                                   : take_record(in, &where, spool, err);
}

static int take_content(struct reader *in, struct error *err)
{
    cleanup_spool struct spool spool = SPOOL_INIT(in->o->dir);
    int r = read_whole(in, &spool, err);

    return r < 0 ? r : take_spooled(in, &spool, err);
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

static int read_by_git(struct objects *o, struct error *err)
{
    struct reader in CLEANUP(reader_done) = {
        .o = o, .child = CHILD_INIT, .header = BUF_INIT(HEADER_MAX), .names = NAMES_INIT};
    cleanup_close int list = objects_open(o, READ_FILE, O_RDONLY, err);
    size_t n = 0;
    int r;

    if (list < 0)
        return list;
    r = objects_start_git(o,
                          GIT(STREAMED, "cat-file", "--buffer",
                              "--batch=%(objectname) %(objecttype) %(objectsize) %(rest)"),
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

static int take_walked(struct reader *in, const struct walk_object *object, const char *line,
                       struct error *err)
{
    static const enum place places[] = {[ODB_COMMIT] = PLACE_COMMIT,
                                        [ODB_TREE] = PLACE_NAME,
                                        [ODB_BLOB] = PLACE_BLOB,
                                        [ODB_TAG] = PLACE_TAG};
    cleanup_spool struct spool spool = SPOOL_INIT(in->o->dir);
    int r = spool_add(&spool, object->object.data, object->object.len, err);

    snprintf(in->oid, sizeof in->oid, "%.*s", (int)strcspn(line, " "), line);
    in->place = places[object->object.kind];
    in->path = object->path ? object->path : "";
    return r < 0 ? r : take_spooled(in, &spool, err);
}

static int read_walked(struct objects *o, struct error *err)
{
    struct reader in CLEANUP(reader_done) = {
        .o = o, .child = CHILD_INIT, .header = BUF_INIT(HEADER_MAX), .names = NAMES_INIT};
    cleanup_buf struct buf line = BUF_INIT(WALK_LINE_MAX);
    int r = 0;

    for (size_t i = 0; r == 0 && i < o->walk->n; i++) {
        if (!o->wanted[i])
            continue;
        r = objects_walked_line(o, i, &line, err);
        if (r == 0)
            r = take_walked(&in, &o->walk->list[i], line.data, err);
    }
    return r;
}

int objects_read(struct objects *o, struct error *err)
{
    return o->walk ? read_walked(o, err) : read_by_git(o, err);
}
