#include "workdir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define OPEN_MAX_DIRS 16
#define NAME_ROOM 256 /* longer than any name that is put below */

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

int workdir_make(const char *repos_dir, struct workdir *ret, struct error *err)
{
    char base[PATH_MAX];
    int r;

    ret->path[0] = '\0';
    if (snprintf(base, sizeof base, "%s/" WORK_DIR, repos_dir) >= (int)sizeof base - NAME_ROOM)
        return error_set(err, -ENAMETOOLONG, "the folder of the repositories has too long a name");
    r = file_mkdirs(base, 0700, err);
    if (r < 0)
        return r;
    snprintf(ret->path, sizeof ret->path, "%.*s/scan-XXXXXX", PATH_MAX - NAME_ROOM, base);
    if (!mkdtemp(ret->path)) { /* 0700 */
        ret->path[0] = '\0';
        return error_errno(err, -errno, "cannot make a folder for the scan");
    }
    return 0;
}

void workdir_done(struct workdir *dir)
{
    if (dir->path[0])
        nftw(dir->path, remove_entry, OPEN_MAX_DIRS, FTW_DEPTH | FTW_PHYS);
    dir->path[0] = '\0';
}

void workdir_sweep(const char *repos_dir)
{
    struct workdir all;

    if (snprintf(all.path, sizeof all.path, "%s/" WORK_DIR, repos_dir) < (int)sizeof all.path)
        workdir_done(&all);
}

void workdir_path(const struct workdir *dir, const char *name, char to[PATH_MAX])
{
    if (snprintf(to, PATH_MAX, "%s/%s", dir->path, name) >= PATH_MAX)
        abort();
}
