#include "scan/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"

void spool_done(struct spool *s)
{
    if (s->map)
        munmap(s->map, s->written);
    cleanup_close_(&s->fd);
    buf_done(&s->memory);
    *s = SPOOL_INIT(s->dir);
}

static int write_file(struct spool *s, const char *data, size_t len, struct error *err)
{
    int r = file_write_all(s->fd, data, len);

    if (r < 0)
        return error_errno(err, r, "cannot write the scan's files");
    s->written += len;
    return 0;
}

static int open_file(struct spool *s, struct error *err)
{
    char path[PATH_MAX];
    int r = workdir_make(s->dir, err);

    if (r < 0)
        return r;
    workdir_path(s->dir, "spool-XXXXXX", path);
    s->fd = mkostemp(path, O_CLOEXEC);
    if (s->fd < 0)
        return error_errno(err, -errno, "cannot write the scan's files");
    unlink(path);
    return write_file(s, s->memory.data, s->memory.len, err);
}

int spool_add(struct spool *s, const char *data, size_t len, struct error *err)
{
    int r = 0;

    if (s->fd < 0 && len <= SPOOL_MEMORY_MAX - s->memory.len) {
        buf_add(&s->memory, data, len);
        return buf_error(&s->memory)
                   ? error_errno(err, buf_error(&s->memory), "cannot scan the push")
                   : 0;
    }
    if (s->fd < 0) {
        r = open_file(s, err);
        buf_done(&s->memory);
    }
    return r < 0 ? r : write_file(s, data, len, err);
}

int spool_view(struct spool *s, const char **data, size_t *len, struct error *err)
{
    void *map;

    *data = s->memory.data;
    *len = s->memory.len;
    if (s->fd < 0)
        return 0;
    map = mmap(NULL, s->written, PROT_READ, MAP_SHARED, s->fd, 0);
    if (map == MAP_FAILED)
        return error_errno(err, -errno, "cannot read the scan's files");
    *data = s->map = map;
    *len = s->written;
    return 0;
}

void spool_forget(struct spool *s, size_t upto)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (s->map)
        madvise(s->map, upto / page * page, MADV_DONTNEED);
}
