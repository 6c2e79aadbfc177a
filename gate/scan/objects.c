#include "scan/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "git.h"
#include "scan/objects_impl.h"

#define TIPS_FILE "tips"
#define WORDS_FILE "words" /* what git said on its standard error */

void objects_free(struct objects *objects)
{
    if (objects)
        free(objects->wanted);
    free(objects);
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

    for (size_t i = 0; i < push->n; i++)
        if (push->commands[i].change != CHANGE_DELETE)
            buf_addf(&tips, "%s\n", push->commands[i].new_oid);
    return buf_error(&tips) ? error_errno(err, buf_error(&tips), "cannot scan the push")
                            : workdir_write(o->dir, TIPS_FILE, tips.data, tips.len, err);
}

/* Lines "<oid>" of commits and "<oid> <path>" of all else, an object behind the first commit that
 * has it (oldest first). Known is what the upstream's refs reach: our own are at what it has no
 * longer, or at whatever a client said that a ref of its had been. */
static int list_objects(struct objects *o, const struct push *push, struct error *err)
{
    cleanup_child struct child child = CHILD_INIT;
    cleanup_close int in = -1, list = -1;
    char chunk[CHUNK];
    ssize_t n;
    int r = write_tips(o, push, err);

    if (r < 0)
        return r;
    in = objects_open(o, TIPS_FILE, O_RDONLY, err);
    list = objects_open(o, LIST_FILE, O_WRONLY | O_CREAT | O_EXCL, err);
    if (in < 0 || list < 0)
        return -EIO;
    r = objects_start_git(o,
                          GIT("rev-list", "--objects", "--in-commit-order", "--topo-order",
                              "--reverse", "--stdin", "--not", "--exclude=" OWN_REFS "/*", "--all"),
                          in, &child, err);
    if (r < 0)
        return r;
    while ((n = child_read(&child, chunk, sizeof chunk, o->dissection->budget.deadline_ns)) > 0) {
        for (const char *p = chunk; (p = memchr(p, '\n', (size_t)(chunk + n - p))); p++)
            o->listed++;
        if (o->listed > OBJECTS_MAX)
            return error_set(err, -EFBIG,
                             "the push has more than %d new objects, which the gate can't scan; "
                             "push it in parts",
                             OBJECTS_MAX);
        r = file_write_all(list, chunk, (size_t)n);
        if (r < 0)
            return error_errno(err, r, "cannot write the scan's files");
    }
    return objects_expect_clean(
        o, n < 0 ? (int)n : child_wait(&child, o->dissection->budget.deadline_ns), "rev-list", err);
}

/* The number of lines, or a negative errno. */
static ssize_t each_line(const struct objects *o, const char *name, void (*fn)(void *, char *),
                         void *data)
{
    char path[PATH_MAX];
    cleanup_free char *line = NULL;
    size_t size = 0;
    ssize_t n, lines = 0;
    FILE *list;

    workdir_path(o->dir, name, path);
    list = fopen(path, "re");
    if (!list)
        return -errno;
    for (; (n = getline(&line, &size, list)) > 0; lines++) {
        line[n - (line[n - 1] == '\n')] = '\0';
        fn(data, line);
    }
    if (ferror(list))
        lines = -EIO;
    fclose(list);
    return lines;
}

int objects_walked_line(const struct objects *o, size_t i, struct buf *to, struct error *err)
{
    buf_reset(to);
    walk_line(&o->walk->list[i], to);
    return buf_error(to) ? error_errno(err, buf_error(to), "cannot scan the push") : 0;
}

void objects_each(const struct objects *o, void (*fn)(void *, char *), void *data)
{
    cleanup_buf struct buf line = BUF_INIT(WALK_LINE_MAX);

    if (!o->walk)
        each_line(o, READ_FILE, fn, data);
    for (size_t i = 0; o->walk && i < o->walk->n; i++)
        if (o->wanted[i] && objects_walked_line(o, i, &line, NULL) == 0)
            fn(data, line.data);
}

struct choice {
    struct objects *objects;
    FILE *to;
};

static void choose(void *data, char *object)
{
    struct choice *choice = data;

    if (clean_has(choice->objects->clean, object))
        return;
    choice->objects->n++;
    fprintf(choice->to, "%s\n", object);
}

/* Of what is new what has to be read. Each line is accounted for: one that got lost would be an
 * object that nobody looks at. */
static int choose_objects(struct objects *o, struct error *err)
{
    struct choice choice = {.objects = o};
    char path[PATH_MAX];
    ssize_t lines;
    bool written;

    workdir_path(o->dir, READ_FILE, path);
    choice.to = fopen(path, "wxe");
    if (!choice.to)
        return error_errno(err, -errno, "cannot write the scan's files");
    lines = each_line(o, LIST_FILE, choose, &choice);
    written = !ferror(choice.to);
    if (fclose(choice.to) != 0 || !written || lines < 0 || (size_t)lines != o->listed)
        return error_set(err, -EIO, "cannot write the scan's files");
    return 0;
}

/* The same of a walk, in memory. */
static int choose_walked(struct objects *o, struct error *err)
{
    cleanup_buf struct buf line = BUF_INIT(WALK_LINE_MAX);

    o->wanted = calloc(o->walk->n + 1, sizeof *o->wanted);
    if (!o->wanted)
        return error_errno(err, -ENOMEM, "cannot scan the push");
    for (; o->listed < o->walk->n; o->listed++) {
        int r = objects_walked_line(o, o->listed, &line, err);

        if (r < 0)
            return r;
        o->wanted[o->listed] = !clean_has(o->clean, line.data);
        o->n += o->wanted[o->listed];
    }
    return 0;
}

/* ---- refs ---- */

static int take_refs(const struct objects *o, const struct push *push, const struct buf *options,
                     struct error *err)
{
    struct piece where = {.place = PLACE_REF, .object = "", .path = "", .member = ""};
    int r = 0;

    for (size_t i = 0; r == 0 && i < push->n; i++)
        if (push->commands[i].change != CHANGE_DELETE)
            r = dissect_bytes(o->dissection, &where, push->commands[i].ref,
                              strlen(push->commands[i].ref), err);
    return r < 0 ? r : dissect_bytes(o->dissection, &where, options->data, options->len, err);
}

int objects_take_apart(const char *repo, const struct push *push, const struct walk *walk,
                       const struct buf *options, const struct clean *clean,
                       struct dissection *dissection, struct objects **ret, struct error *err)
{
    struct objects *o = calloc(1, sizeof *o);
    int r;

    if (!o)
        return error_errno(err, -ENOMEM, "cannot scan the push");
    o->repo = repo;
    o->dissection = dissection;
    o->dir = dissection->dir;
    o->clean = clean;
    o->walk = walk;
    r = take_refs(o, push, options, err);
    if (r == 0 && walk)
        r = choose_walked(o, err);
    else if (r == 0)
        r = list_objects(o, push, err);
    if (r == 0 && !walk)
        r = choose_objects(o, err);
    if (r == 0)
        r = objects_read(o, err);
    if (r < 0)
        objects_free(o);
    else
        *ret = o;
    return r;
}
