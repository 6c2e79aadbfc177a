#include "mirror/damage.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "git.h"
#include "mirror/source.h"
#include "mirror/suspicion.h"
#include "repo.h"
#include "sweep.h"

#define LOOK_TIMEOUT_MS 1200000 /* fsck of a history of gigabytes */
#define ASIDE_S (7 * 24 * 3600) /* time for whoever wants to know what had happened */

/* Whether what refs lead to can't be read, each byte of it. A client's pack may hold besides what
 * no ref leads to, and what nobody can read: fsck complains of that, and by a commit that calls a
 * file its folder is led to complain of the file. */
static int look_at_reachable(const char *repo, bool *damaged, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(0, GIT_ERR_MAX);
    int r = git_run(repo, NULL,
                    GIT("-c", "pack.threads=1", "-c", "pack.compression=0", "pack-objects",
                        "--quiet", "--revs", "--all", "--stdout", "--window=0", "--no-reuse-object",
                        "--no-reuse-delta", "--no-use-bitmap-index"),
                    NULL, 0, LOOK_TIMEOUT_MS, &result, err);

    if (r < 0)
        return r;
    if (result.exit_code < 0)
        return error_set(err, -EIO, "git pack-objects did not come to an end");
    /* Of a ref that can't be read there is only a warning. */
    *damaged =
        fsck_tells_damage(result.exit_code, result.err.data) || damage_suspected(result.err.data);
    return 0;
}

int damage_look(const char *repo, bool *damaged, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(0, GIT_ERR_MAX);
    int r =
        git_run(repo, NULL, GIT("fsck", "--full", "--no-dangling", "--no-progress", "--no-reflogs"),
                NULL, 0, LOOK_TIMEOUT_MS, &result, err);

    *damaged = false;
    if (r < 0)
        return r;
    if (result.exit_code < 0)
        return error_set(err, -EIO, "git fsck did not come to an end");
    *damaged = fsck_tells_damage(result.exit_code, result.err.data);
    return *damaged && fsck_leaves_doubt(result.exit_code, result.err.data)
               ? look_at_reachable(repo, damaged, err)
               : 0;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int move(const char *repo, const char *name, struct error *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    int r = path_make(from, err, "%s/%s", repo, name);

    if (r == 0)
        r = path_make(to, err, "%s/" DAMAGE_DIR "/%s", repo, name);
    if (r == 0 && rename(from, to) < 0 && errno != ENOENT)
        r = error_errno(err, -errno, "cannot set the damaged mirror aside");
    return r;
}

static int move_all(const char *repo, struct error *err)
{
    DIR *dir CLEANUP(close_dir) = opendir(repo);
    const struct dirent *entry;
    int r = dir ? 0 : error_errno(err, -errno, "cannot set the damaged mirror aside");

    if (r == 0) /* first: without it, it is no repository, and killed here we begin anew */
        r = move(repo, "HEAD", err);
    while (r == 0 && (entry = dir_next(dir, &r)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, OWN_DIR) != 0)
            r = move(repo, entry->d_name, err);
    return r < 0 ? error_errno(err, r, "cannot set the damaged mirror aside") : 0;
}

int damage_set_aside(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     struct error *err)
{
    char aside[PATH_MAX];
    int r = path_make(aside, err, "%s/" DAMAGE_DIR, repo);

    if (r < 0)
        return r;
    sweep_tree(aside);
    source_forget(repo);
    r = file_mkdirs(aside, 0700, err);
    if (r == 0)
        r = move_all(repo, err);
    if (r == 0)
        r = repo_ensure(gate, upstream, err);
    return r < 0 ? r : source_record(upstream, repo, err);
}

void damage_forget(const char *repo, bool room_short)
{
    char aside[PATH_MAX];
    struct stat st;

    if (path_make(aside, NULL, "%s/" DAMAGE_DIR, repo) < 0 || lstat(aside, &st) < 0)
        return;
    if (room_short || time(NULL) - st.st_mtime > ASIDE_S)
        sweep_tree(aside);
}
