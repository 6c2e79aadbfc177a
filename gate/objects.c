#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "git.h"
#include "objects_impl.h"

#define WORDS_FILE "words" /* what git said on its standard error */

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

int objects_open(const struct objects *o, const char *name, int flags, struct error *err)
{
    char path[PATH_MAX];
    int fd;

    workdir_path(o->dir, name, path);
    fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? error_errno(err, -errno, "cannot write the scan's files") : fd;
}

int objects_append(struct objects *o, int fd, const char *data, size_t len, struct error *err)
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

int objects_put(struct objects *o, const char *name, const char *data, size_t len,
                struct error *err)
{
    char in_scan[NAME_MAX];
    cleanup_close int fd = -1;
    int r;

    snprintf(in_scan, sizeof in_scan, SCAN_DIR "/%s", name);
    fd = objects_open(o, in_scan, O_WRONLY | O_CREAT | O_EXCL, err);
    if (fd < 0)
        return fd;
    r = objects_append(o, fd, LEAD, LEAD_LEN, err);
    return r < 0 ? r : objects_append(o, fd, data, len, err);
}

/* ---- which objects ---- */

int objects_expect_clean(const struct objects *o, int code, const char *what, struct error *err)
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

int objects_start_git(const struct objects *o, const char *const *argv, int in, struct child *child,
                      struct error *err)
{
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    cleanup_close int words = objects_open(o, WORDS_FILE, O_WRONLY | O_CREAT | O_TRUNC, err);

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
    in = objects_open(o, "tips", O_RDONLY, err);
    list = objects_open(o, LIST_FILE, O_WRONLY | O_CREAT | O_EXCL, err);
    if (in < 0 || list < 0)
        return -EIO;
    r = objects_start_git(o,
                          GIT("rev-list", "--objects", "--in-commit-order", "--topo-order",
                              "--reverse", "--stdin", "--not", "--all"),
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
    return objects_expect_clean(o, n < 0 ? (int)n : child_wait(&child, o->deadline_ns), "rev-list",
                                err);
}

/* ---- names and refs ---- */

static int compare_names(const void *a, const void *b, void *text)
{
    const struct new_path *x = a, *y = b;

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
    return objects_put(o, NAMES_FILE, text.data, text.len, err);
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
    return objects_put(o, REFS_FILE, text.data, text.len, err);
}

int objects_write(const char *repo, const struct push *push, const struct buf *options,
                  const struct workdir *dir, uint64_t deadline_ns, struct objects **ret,
                  struct error *err)
{
    struct objects *o = calloc(1, sizeof *o);
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
        r = objects_read(o, err);
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
