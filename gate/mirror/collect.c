#include "mirror/collect.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "git.h"
#include "lock.h"
#include "mirror/presence.h"
#include "policy.h"
#include "sweep.h"

#define PACK_TIMEOUT_MS (3600ull * 1000) /* a large history on a slow disk, in the background */
#define LOCK_TIMEOUT_MS 600000           /* behind a push of a large pack */
/* New clients wait meanwhile, so briefly; a client that is cloning for long has its way. */
#define ALONE_TIMEOUT_MS 500
#define RETRIES 20
#define RETRY_S 5
#define CHECK_TIMEOUT_MS 60000 /* a walk through what came during the packing */
#define PACKS_MAX 4096
#define VIEW_DIR OWN_DIR "/view" /* an object folder with what is to stay */

/* The packs that were there at the start, and what was reachable then. */
struct collection {
    char *packs[PACKS_MAX]; /* "pack-<hash>" */
    size_t n;
    char made[OID_HEX_MAX + 8]; /* the new one; "" when nothing is reachable at all */
    struct buf tips;            /* object ids, a line each */
};

static void collection_done(struct collection *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->packs[i]);
    buf_done(&c->tips);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* ---- before ---- */

static bool is_listed(const struct collection *c, const char *file, size_t len)
{
    for (size_t i = 0; i < c->n; i++)
        if (strlen(c->packs[i]) == len && strncmp(c->packs[i], file, len) == 0)
            return true;
    return false;
}

/* By any of its files: of a pack that was being removed when something was killed some may be left,
 * and an index without its pack keeps every push from the walk (odb.h). */
static int list_packs(const char *repo, struct collection *c, struct error *err)
{
    char path[PATH_MAX];
    DIR *dir CLEANUP(close_dir) = NULL;
    struct dirent *entry;

    if (path_make(path, err, "%s/objects/pack", repo) < 0)
        return -ENAMETOOLONG;
    dir = opendir(path);
    if (!dir)
        return error_errno(err, -errno, "cannot list the packs");
    while (c->n < PACKS_MAX && (entry = readdir(dir))) {
        size_t len = strcspn(entry->d_name, ".");

        if (strncmp(entry->d_name, "pack-", 5) != 0 || is_listed(c, entry->d_name, len))
            continue;
        c->packs[c->n] = strndup(entry->d_name, len);
        if (!c->packs[c->n])
            return error_errno(err, -ENOMEM, "cannot list the packs");
        c->n++;
    }
    return 0;
}

/* The ids of all refs and of HEAD, a line each. */
static int list_tips(const char *repo, struct buf *to, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_OUT_MAX, GIT_ERR_MAX);
    int r = git_run(repo, NULL, GIT("show-ref", "--head", "--hash"), NULL, 0, GIT_LOCAL_TIMEOUT_MS,
                    &result, err);

    if (r < 0)
        return r;
    /* 1: there are none */
    if (buf_error(&result.out) || result.exit_code > 1 || result.exit_code < 0 ||
        (result.out.len && result.out.data[result.out.len - 1] != '\n'))
        return error_set(err, -EIO, "git show-ref failed: %.300s", result.err.data);
    buf_add(to, result.out.data, result.out.len);
    return buf_error(to) ? error_errno(err, buf_error(to), "cannot list the refs") : 0;
}

/* One thread, and a window that fits beside the clients of a small container. */
#define PACK_MODESTLY "-c", "pack.threads=1", "-c", "pack.windowMemory=64m"

static int pack_reachable(const char *repo, struct collection *c, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    int r = git_run(repo, NULL,
                    GIT(PACK_MODESTLY, "pack-objects", "--quiet", "--revs", "--delta-base-offset",
                        "--non-empty", "--write-bitmap-index", "objects/pack/pack"),
                    c->tips.data, c->tips.len, PACK_TIMEOUT_MS, &result, err);
    size_t len = strcspn(result.out.data, "\n");

    if (r < 0)
        return r;
    if (result.exit_code != 0)
        return error_set(err, -EIO, "git pack-objects failed: %.300s", result.err.data);
    if (len > OID_HEX_MAX)
        return error_set(err, -EIO, "git pack-objects named no pack");
    if (len > 0)
        snprintf(c->made, sizeof c->made, "pack-%.*s", (int)len, result.out.data);
    return 0;
}

/* ---- alone ---- */

/* The same content gives the same name. */
static bool is_old(const struct collection *c, const char *file)
{
    size_t len = strcspn(file, ".");

    return is_listed(c, file, len) && (strlen(c->made) != len || strncmp(c->made, file, len) != 0);
}

/* Calls `take` with the path of each file in a folder below the repository. */
static int each_file(const char *repo, const char *folder, const struct collection *c,
                     int (*take)(const struct collection *c, const char *repo, const char *path,
                                 const char *name),
                     struct error *err)
{
    char path[PATH_MAX];
    DIR *dir CLEANUP(close_dir) = NULL;
    struct dirent *entry;
    int r = path_make(path, err, "%s/%s", repo, folder);

    dir = r == 0 ? opendir(path) : NULL;
    if (!dir)
        return error_errno(err, -errno, "cannot list %s", folder);
    while (r == 0 && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        r = path_make(path, err, "%s/%s/%s", repo, folder, entry->d_name);
        if (r == 0 && (r = take(c, repo, path, entry->d_name)) < 0)
            error_errno(err, r, "cannot see what would stay of %s", folder);
    }
    return r;
}

static int show_pack_file(const struct collection *c, const char *repo, const char *path,
                          const char *name)
{
    char to[PATH_MAX];

    if (is_old(c, name))
        return 0;
    if (path_make(to, NULL, "%s/" VIEW_DIR "/pack/%s", repo, name) < 0)
        return -ENAMETOOLONG;
    return link(path, to) < 0 ? -errno : 0;
}

static int show_loose(const struct collection *c, const char *repo, const char *path,
                      const char *name)
{
    char to[PATH_MAX];

    (void)c;
    if (strlen(name) != 2)
        return 0;
    if (path_make(to, NULL, "%s/" VIEW_DIR "/%s", repo, name) < 0)
        return -ENAMETOOLONG;
    return symlink(path, to) < 0 ? -errno : 0;
}

static void remove_view(const char *repo)
{
    char path[PATH_MAX];

    if (path_make(path, NULL, "%s/" VIEW_DIR, repo) == 0)
        sweep_tree(path);
}

static int make_view(const char *repo, const struct collection *c, struct error *err)
{
    char path[PATH_MAX];
    int r = path_make(path, err, "%s/" VIEW_DIR "/pack", repo);

    remove_view(repo);
    if (r == 0)
        r = file_mkdirs(path, 0700, err);
    if (r == 0)
        r = each_file(repo, "objects/pack", c, show_pack_file, err);
    return r < 0 ? r : each_file(repo, "objects", c, show_loose, err);
}

/* What is reachable now and was not at the start is there without the old packs: what was reachable
 * at the start is in the new one. */
static int check_view(const char *repo, const struct collection *c, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(0, GIT_ERR_MAX);
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    cleanup_buf struct buf input = BUF_INIT(2 * GIT_OUT_MAX);
    int r = child_env_repo(&env);

    if (r == 0)
        r = child_env_set(&env, "GIT_OBJECT_DIRECTORY", VIEW_DIR);
    if (r < 0)
        return error_errno(err, r, "cannot check what would stay");
    r = list_tips(repo, &input, err);
    if (r < 0)
        return r;
    for (const char *line = c->tips.data; *line; line = strchr(line, '\n') + 1)
        buf_addf(&input, "^%.*s\n", (int)strcspn(line, "\n"), line);
    if (buf_error(&input))
        return error_errno(err, buf_error(&input), "cannot check what would stay");
    r = git_run(repo, &env, GIT("rev-list", "--objects", "--quiet", "--stdin"), input.data,
                input.len, CHECK_TIMEOUT_MS, &result, err);
    if (r == 0 && result.exit_code != 0)
        r = error_set(err, -EAGAIN, "something that was to go is needed again: %.300s",
                      result.err.data);
    return r;
}

static int remove_old(const struct collection *c, const char *repo, const char *path,
                      const char *name)
{
    (void)repo;
    return is_old(c, name) && unlink(path) < 0 ? -errno : 0;
}

/* A commit graph that knows commits which are gone would vouch for them to clients. */
static void remove_graph(const char *repo)
{
    static const char *const places[] = {"objects/info/commit-graph", "objects/info/commit-graphs"};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (path_make(path, NULL, "%s/%s", repo, places[i]) == 0)
            sweep_tree(path);
}

static int replace_packs(const struct gate *gate, const struct upstream *upstream, const char *repo,
                         const struct collection *c, struct error *err)
{
    cleanup_close int lock = -1;
    cleanup_close int presence = presence_open(gate->repos_dir, err);
    int r = presence < 0 ? presence : lock_take(repo, LOCK_TIMEOUT_MS, &lock, err);

    if (r < 0)
        return r;
    if (!presence_none(presence, upstream->name, ALONE_TIMEOUT_MS))
        return error_set(err, -EBUSY, "the repository is in use");
    r = make_view(repo, c, err);
    if (r == 0)
        r = check_view(repo, c, err);
    remove_view(repo);
    if (r < 0)
        return r;
    remove_graph(repo);
    return each_file(repo, "objects/pack", c, remove_old, err);
}

int collect(const struct gate *gate, const struct upstream *upstream, const char *repo,
            struct error *err)
{
    struct collection c CLEANUP(collection_done) = {.tips = BUF_INIT(GIT_OUT_MAX)};
    int r = list_packs(repo, &c, err);

    /* First the packs, then the refs: what comes between is in a pack that stays. */
    if (r == 0)
        r = list_tips(repo, &c.tips, err);
    if (r == 0)
        r = pack_reachable(repo, &c, err);
    if (r == 0)
        r = replace_packs(gate, upstream, repo, &c, err);
    for (int i = 0; r == -EBUSY && i < RETRIES; i++) {
        sleep(RETRY_S);
        r = replace_packs(gate, upstream, repo, &c, err);
    }
    if (r == 0)
        r = git_must(repo, GIT("commit-graph", "write", "--reachable", "--no-progress"), err);
    return r;
}
