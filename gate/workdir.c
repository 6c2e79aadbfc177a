#include "workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "sweep.h"

#define NAME_ROOM 256 /* longer than any name that is put below */

int workdir_init(const char *repos_dir, struct workdir *ret, struct error *err)
{
    *ret = (struct workdir){.path = ""};
    if (snprintf(ret->base, sizeof ret->base, "%s/" WORK_DIR, repos_dir) >=
        (int)sizeof ret->base - NAME_ROOM)
        return error_set(err, -ENAMETOOLONG, "the folder of the repositories has too long a name");
    return 0;
}

int workdir_make(struct workdir *dir, struct error *err)
{
    int r;

    if (dir->path[0])
        return 0;
    r = file_mkdirs(dir->base, 0700, err);
    if (r < 0)
        return r;
    snprintf(dir->path, sizeof dir->path, "%.*s/scan-XXXXXX", PATH_MAX - NAME_ROOM, dir->base);
    if (!mkdtemp(dir->path)) { /* 0700 */
        dir->path[0] = '\0';
        return error_errno(err, -errno, "cannot make a folder for the scan");
    }
    return 0;
}

void workdir_done(struct workdir *dir)
{
    if (dir->path[0])
        sweep_tree(dir->path);
    dir->path[0] = '\0';
}

void workdir_sweep(const char *repos_dir)
{
    struct workdir all = {.base = ""};

    if (snprintf(all.path, sizeof all.path, "%s/" WORK_DIR, repos_dir) < (int)sizeof all.path)
        workdir_done(&all);
}

void workdir_path(const struct workdir *dir, const char *name, char to[PATH_MAX])
{
    if (!dir->path[0] || snprintf(to, PATH_MAX, "%s/%s", dir->path, name) >= PATH_MAX)
        abort();
}

int workdir_write(struct workdir *dir, const char *name, const void *data, size_t len,
                  struct error *err)
{
    char path[PATH_MAX];
    cleanup_close int fd = -1;
    int r = workdir_make(dir, err);

    if (r < 0)
        return r;
    workdir_path(dir, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, -errno, "cannot write the scan's files");
    r = file_write_all(fd, data, len);
    return r < 0 ? error_errno(err, r, "cannot write the scan's files") : 0;
}
