#include "objects.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "child.h"
#include "git.h"

#define LIST_FILE "objects" /* rev-list's output, kept to find a commit later */
#define WORDS_FILE "words"  /* what git said on its standard error */
#define NAMES_FILE "names"
#define REFS_FILE "refs"
#define COMMIT_SUFFIX "-commit"
#define TAG_SUFFIX "-tag"
#define TEXT_SUFFIX "-text" /* the copy without NUL bytes */

#define HEADER_MAX 65536 /* cat-file's line: an object id, type, size and path */
#define CHUNK 65536

/* Each file starts with a line end of ours: gitleaks skips what looks like a program or an archive
 * by its first bytes. */
#define LEAD "\n"
#define LEAD_LEN 1

struct name {
    size_t path, object; /* offsets in `names` */
    unsigned line;       /* in NAMES_FILE, from 1 */
};

struct objects {
    const char *repo;
    const struct workdir *dir;
    uint64_t deadline_ns;
    size_t n;
    uint64_t bytes;
    struct buf names;
    struct name *list;
    size_t n_names, size_names;
};

void objects_free(struct objects *objects)
{
    if (!objects)
        return;
    buf_done(&objects->names);
    free(objects->list);
    free(objects);
}

uint64_t objects_bytes(const struct objects *objects)
{
    return objects->bytes;
}

void objects_add_bytes(struct objects *objects, uint64_t len)
{
    objects->bytes += len;
}

/* ---- files ---- */

static int open_in(const struct objects *o, const char *name, int flags, struct error *err)
{
    char path[PATH_MAX];
    int fd;

    workdir_path(o->dir, name, path);
    fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? error_errno(err, -errno, "cannot write the scan's files") : fd;
}

static int write_all(struct objects *o, int fd, const char *data, size_t len, struct error *err)
{
    o->bytes += len;
    if (o->bytes > UNPACKED_MAX)
        return error_set(err, -EFBIG,
                         "the push unpacks to more than %llu MiB, which the gate can't scan; push "
                         "it in parts",
                         UNPACKED_MAX >> 20);
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, -errno, "cannot write the scan's files");
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_file(struct objects *o, const char *name, const char *data, size_t len,
                      struct error *err)
{
    char in_scan[NAME_MAX];
    cleanup_close int fd = -1;
    int r;

    snprintf(in_scan, sizeof in_scan, SCAN_DIR "/%s", name);
    fd = open_in(o, in_scan, O_WRONLY | O_CREAT | O_EXCL, err);
    if (fd < 0)
        return fd;
    r = write_all(o, fd, LEAD, LEAD_LEN, err);
    return r < 0 ? r : write_all(o, fd, data, len, err);
}

/* ---- which objects ---- */

/* Requires what git must be: silent and successful. Anything else hides objects. */
static int expect_clean(const struct objects *o, int code, const char *what, struct error *err)
{
    cleanup_buf struct buf words = BUF_INIT(GIT_ERR_MAX);
    char path[PATH_MAX];

    if (code == -ETIMEDOUT)
        return error_set(err, code, "the scan took too long (spec.scan.timeout)");
    workdir_path(o->dir, WORDS_FILE, path);
    if (file_read(path, &words, NULL) < 0 || code != 0 || words.len > 0)
        return error_set(err, -EIO, "git %s failed (%d): %.300s", what, code, words.data);
    return 0;
}

static int start_git(const struct objects *o, const char *const *argv, int in, struct child *child,
                     struct error *err)
{
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    cleanup_close int words = open_in(o, WORDS_FILE, O_WRONLY | O_CREAT | O_TRUNC, err);

    if (words < 0)
        return words;
    if (child_env_quarantine(&env) < 0)
        return error_errno(err, -ENOMEM, "cannot run git");
    return child_start(child, argv, env.list, o->repo, in, words, err);
}

static int write_tips(const struct objects *o, const struct push *push, struct error *err)
{
    cleanup_buf struct buf tips = BUF_INIT(PUSH_COMMANDS_MAX * (OID_HEX_MAX + 1));
    char path[PATH_MAX];

    for (size_t i = 0; i < push->n; i++)
        if (push->commands[i].change != CHANGE_DELETE)
            buf_addf(&tips, "%s\n", push->commands[i].new_oid);
    workdir_path(o->dir, "tips", path);
    return file_write(path, tips.data, tips.len, 0600, err);
}

/* Lines "<oid>" of commits and "<oid> <path>" of all else, an object behind the first commit that
 * has it (oldest first). */
static int list_objects(struct objects *o, const struct push *push, struct error *err)
{
    cleanup_child struct child child = CHILD_INIT;
    cleanup_close int in = -1, list = -1;
    char chunk[CHUNK];
    ssize_t n;
    int r = write_tips(o, push, err);

    if (r < 0)
        return r;
    in = open_in(o, "tips", O_RDONLY, err);
    list = open_in(o, LIST_FILE, O_WRONLY | O_CREAT | O_EXCL, err);
    if (in < 0 || list < 0)
        return -EIO;
    r = start_git(o,
                  GIT("rev-list", "--objects", "--in-commit-order", "--topo-order", "--reverse",
                      "--stdin", "--not", "--all"),
                  in, &child, err);
    if (r < 0)
        return r;
    while ((n = child_read(&child, chunk, sizeof chunk, o->deadline_ns)) > 0) {
        for (const char *p = chunk; (p = memchr(p, '\n', (size_t)(chunk + n - p))); p++)
            o->n++;
        if (o->n > OBJECTS_MAX)
            return error_set(err, -EFBIG,
                             "the push has more than %d new objects, which the gate can't scan; "
                             "push it in parts",
                             OBJECTS_MAX);
        if (write(list, chunk, (size_t)n) != n)
            return error_errno(err, -errno, "cannot write the scan's files");
    }
    return expect_clean(o, n < 0 ? (int)n : child_wait(&child, o->deadline_ns), "rev-list", err);
}

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
        return expect_clean(in->o, -ETIMEDOUT, "cat-file", err);
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
    in = open_in(o, from, O_RDONLY, err);
    out = in < 0 ? -1 : open_in(o, to, O_WRONLY | O_CREAT | O_EXCL, err);
    if (out < 0)
        return -EIO;
    while ((n = read(in, chunk, sizeof chunk)) > 0) {
        size_t kept = 0;
        int r;

        for (ssize_t i = 0; i < n; i++)
            if (chunk[i])
                chunk[kept++] = chunk[i];
        r = write_all(o, out, chunk, kept, err);
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
    fd = open_in(in->o, in_scan, O_WRONLY | O_CREAT | O_EXCL, err);
    if (fd < 0)
        return fd;
    r = write_all(in->o, fd, LEAD, LEAD_LEN, err);
    while (r == 0 && left > 0) {
        const char *data;
        size_t n;

        r = read_bytes(in, &data, left, &n, err);
        if (r < 0)
            return r;
        nuls = nuls || memchr(data, '\0', n);
        r = write_all(in->o, fd, data, n, err);
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
    r = write_file(in->o, name, text.data + skip, text.len - skip, err);
    if (r == 0 && memchr(text.data, '\0', text.len))
        r = write_without_nuls(in->o, name, err);
    return r;
}

static int add_name(struct objects *o, const char *dir, const char *name, const char *object,
                    struct error *err)
{
    if (o->n_names == o->size_names) {
        size_t size = o->size_names ? 2 * o->size_names : 1024;
        struct name *list = realloc(o->list, size * sizeof *list);

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

static int read_objects(struct reader *in, struct error *err)
{
    struct objects *o = in->o;
    cleanup_close int list = open_in(o, LIST_FILE, O_RDONLY, err);
    size_t n = 0;
    int r;

    if (list < 0)
        return list;
    r = start_git(
        o, GIT("cat-file", "--buffer", "--batch=%(objectname) %(objecttype) %(objectsize) %(rest)"),
        list, &in->child, err);
    while (r == 0 && (r = read_header(in, err)) > 0) {
        r = parse_header(in, err);
        if (r == 0)
            r = take_object(in, err);
        n++;
    }
    if (r < 0)
        return r;
    r = expect_clean(o, child_wait(&in->child, o->deadline_ns), "cat-file", err);
    if (r == 0 && n != o->n)
        r = error_set(err, -EIO, "git cat-file gave %zu objects of %zu", n, o->n);
    return r;
}

/* ---- names and refs ---- */

static int compare_names(const void *a, const void *b, void *text)
{
    const struct name *x = a, *y = b;

    return strcmp((const char *)text + x->path, (const char *)text + y->path);
}

static unsigned lines_in(const char *text)
{
    unsigned n = 1;

    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

/* Each path once, a line each (more when it holds line ends itself). */
static int write_names(struct objects *o, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(NAMES_MAX);
    unsigned line = 1 + LEAD_LEN;
    size_t kept = 0;

    if (o->n_names > 0)
        qsort_r(o->list, o->n_names, sizeof *o->list, compare_names, o->names.data);
    for (size_t i = 0; i < o->n_names; i++) {
        const char *path = o->names.data + o->list[i].path;

        if (kept > 0 && strcmp(o->names.data + o->list[kept - 1].path, path) == 0)
            continue;
        o->list[kept] = o->list[i];
        o->list[kept++].line = line;
        buf_addf(&text, "%s\n", path);
        line += lines_in(path);
    }
    o->n_names = kept;
    if (buf_error(&text))
        return error_errno(err, buf_error(&text), "cannot list the paths");
    return write_file(o, NAMES_FILE, text.data, text.len, err);
}

static int write_refs(struct objects *o, const struct push *push, const struct buf *options,
                      struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(PUSH_COMMANDS_BYTES_MAX + options->max);

    for (size_t i = 0; i < push->n; i++)
        if (push->commands[i].change != CHANGE_DELETE)
            buf_addf(&text, "%s\n", push->commands[i].ref);
    buf_add(&text, options->data, options->len);
    if (buf_error(&text))
        return error_errno(err, buf_error(&text), "cannot list the refs");
    return write_file(o, REFS_FILE, text.data, text.len, err);
}

static void reader_done(struct reader *in)
{
    child_done(&in->child);
    buf_done(&in->header);
}

int objects_write(const char *repo, const struct push *push, const struct buf *options,
                  const struct workdir *dir, uint64_t deadline_ns, struct objects **ret,
                  struct error *err)
{
    struct objects *o = calloc(1, sizeof *o);
    struct reader in CLEANUP(reader_done) = {
        .o = o, .child = CHILD_INIT, .header = BUF_INIT(HEADER_MAX)};
    char content[PATH_MAX];
    int r;

    if (!o)
        return error_errno(err, -ENOMEM, "cannot scan the push");
    o->repo = repo;
    o->dir = dir;
    o->deadline_ns = deadline_ns;
    o->names = BUF_INIT(NAMES_MAX);
    workdir_path(dir, SCAN_DIR, content);
    r = mkdir(content, 0700) < 0 ? error_errno(err, -errno, "cannot make a folder for the scan")
                                 : 0;
    if (r == 0)
        r = list_objects(o, push, err);
    if (r == 0)
        r = read_objects(&in, err);
    if (r == 0)
        r = write_names(o, err);
    if (r == 0)
        r = write_refs(o, push, options, err);
    if (r < 0)
        objects_free(o);
    else
        *ret = o;
    return r;
}

/* ---- from a finding back to its place ---- */

static const struct name *name_at(const struct objects *o, unsigned line)
{
    const struct name *found = NULL;

    for (size_t i = 0; i < o->n_names && o->list[i].line <= line; i++)
        found = &o->list[i];
    return found;
}

/* What a tag points at directly is listed behind some commit, and is in none. */
bool objects_commit_has(const struct objects *o, const char *commit, const char *path,
                        const char *oid)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(OID_HEX_MAX + 1, GIT_ERR_MAX);
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    cleanup_free char *name = NULL;

    if (asprintf(&name, "%s:%s", commit, path) < 0) {
        name = NULL;
        return false;
    }
    return child_env_quarantine(&env) == 0 &&
           git_run(o->repo, &env, GIT("rev-parse", "--verify", "--quiet", name), NULL, 0,
                   GIT_LOCAL_TIMEOUT_MS, &result, NULL) == 0 &&
           result.exit_code == 0 && strncmp(result.out.data, oid, strlen(oid)) == 0;
}

/* Looks the object up in rev-list's output: its path, and the commit that stands above it. */
static void locate_object(const struct objects *o, const char *oid, struct location *ret)
{
    char list_path[PATH_MAX], *line = NULL;
    size_t size = 0, len = strlen(oid);
    ssize_t n;
    FILE *list;

    workdir_path(o->dir, LIST_FILE, list_path);
    list = fopen(list_path, "re");
    while (list && (n = getline(&line, &size, list)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (!strchr(line, ' '))
            snprintf(ret->commit, sizeof ret->commit, "%.*s", OID_HEX_MAX, line);
        if (strncmp(line, oid, len) != 0 || line[len] != ' ')
            continue;
        snprintf(ret->path, sizeof ret->path, "%.*s", PATH_MAX - 1, line + len + 1);
        break;
    }
    free(line);
    if (list)
        fclose(list);
}

static void locate_record(const char *suffix, struct location *ret)
{
    if (strncmp(suffix, COMMIT_SUFFIX, strlen(COMMIT_SUFFIX)) == 0) {
        ret->place = PLACE_COMMIT;
        memcpy(ret->commit, ret->object, sizeof ret->commit);
    } else if (strncmp(suffix, TAG_SUFFIX, strlen(TAG_SUFFIX)) == 0) {
        ret->place = PLACE_TAG;
    }
}

void objects_locate(const struct objects *o, const char *name, unsigned line, struct location *ret)
{
    size_t digits = strspn(name, "0123456789abcdef");

    *ret = (struct location){.place = PLACE_NONE};
    if (strcmp(name, REFS_FILE) == 0) {
        ret->place = PLACE_REF;
    } else if (strcmp(name, NAMES_FILE) == 0) {
        const struct name *entry = name_at(o, line);

        ret->place = PLACE_NAME;
        if (!entry)
            return;
        snprintf(ret->object, sizeof ret->object, "%s", o->names.data + entry->object);
        locate_object(o, ret->object, ret);
    } else if (digits == 40 || digits == 64) {
        snprintf(ret->object, sizeof ret->object, "%.*s", (int)digits, name);
        locate_record(name + digits, ret);
        if (ret->place != PLACE_NONE)
            return;
        ret->place = PLACE_BLOB;
        ret->line = line > LEAD_LEN ? line - LEAD_LEN : 1;
        locate_object(o, ret->object, ret);
    }
}

bool objects_flags_path(const struct objects *o, const char *name, unsigned line, const char *path)
{
    const struct name *entry = strcmp(name, NAMES_FILE) == 0 ? name_at(o, line) : NULL;
    size_t len = strlen(path), n = entry ? strlen(o->names.data + entry->path) : 0;

    /* Its own name, or that of a folder above it. */
    return entry && n <= len && memcmp(o->names.data + entry->path, path, n) == 0 &&
           (path[n] == '\0' || path[n] == '/');
}
