#include "sweep.h"

#include <dirent.h>
#include <fnmatch.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "gate.h"

#define OPEN_MAX_DIRS 16

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    if (type == FTW_DP)
        rmdir(path);
    else
        unlink(path);
    return 0;
}

void sweep_tree(const char *path)
{
    nftw(path, remove_entry, OPEN_MAX_DIRS, FTW_DEPTH | FTW_PHYS);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* In one folder of the repository, all whose names match. */
static int sweep_matching(const char *repo, const char *folder, const char *pattern)
{
    char path[PATH_MAX];
    DIR *dir CLEANUP(close_dir) = NULL;
    struct dirent *entry;
    int n = 0;

    if (path_make(path, NULL, "%s/%s", repo, folder) == 0)
        dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (fnmatch(pattern, entry->d_name, 0) != 0 ||
            path_make(path, NULL, "%s/%s/%s", repo, folder, entry->d_name) < 0)
            continue;
        sweep_tree(path);
        n++;
    }
    return n;
}

/* nftw has no argument for its callback. */
static int n_locks;

static int remove_lock(const char *path, const struct stat *st, int type, struct FTW *at)
{
    size_t len = strlen(path);

    (void)st;
    (void)at;
    if (type == FTW_F && len > 5 && strcmp(path + len - 5, ".lock") == 0 && unlink(path) == 0)
        n_locks++;
    return 0;
}

int sweep_ref_locks(const char *repo)
{
    char path[PATH_MAX];

    n_locks = 0;
    if (path_make(path, NULL, "%s/refs", repo) == 0)
        nftw(path, remove_lock, OPEN_MAX_DIRS, FTW_PHYS);
    return n_locks + sweep_matching(repo, ".", "*.lock");
}

/* .keep: git marks a pack with one until it has moved the refs that need it. */
int sweep_debris(const char *repo)
{
    static const char *const places[][2] = {
        {".", "shallow_*"}, /* of a push from a shallow clone */
        {"objects", "tmp_objdir-*"}, {"objects", "tmp_obj_*"},   {"objects/pack", "tmp_*"},
        {"objects/pack", ".tmp-*"},  {"objects/pack", "*.keep"}, {"objects/pack", "*.lock"},
        {"objects/info", "*.lock"}, /* of a commit graph: none would ever be written again */
    };
    char folder[sizeof "objects/00"];
    int n = sweep_ref_locks(repo);

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        n += sweep_matching(repo, places[i][0], places[i][1]);
    for (int i = 0; i < 256; i++) {
        snprintf(folder, sizeof folder, "objects/%02x", (unsigned)i);
        n += sweep_matching(repo, folder, "tmp_obj_*");
    }
    return n;
}
