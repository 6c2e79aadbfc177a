#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define READ_CHUNK 65536

int file_read(const char *path, struct buf *into, struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, -errno, "cannot open %s", path);
    for (;;) {
        char chunk[READ_CHUNK];
        ssize_t n = read(fd, chunk, sizeof chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, -errno, "cannot read %s", path);
        if (n == 0)
            return 0;
        buf_add(into, chunk, (size_t)n);
        explicit_bzero(chunk, (size_t)n); /* it may have been a key */
        if (buf_error(into) == -E2BIG)
            return error_set(err, -E2BIG, "%s is larger than %zu bytes", path, into->max);
        if (buf_error(into))
            return error_errno(err, buf_error(into), "cannot read %s", path);
    }
}

const struct dirent *dir_next(DIR *dir, int *r)
{
    const struct dirent *entry;

    errno = 0; /* readdir(3): nothing else tells the end from a failure */
    entry = readdir(dir);
    if (!entry && errno)
        *r = -errno;
    return entry;
}

int file_mkdirs(const char *path, mode_t mode, struct error *err)
{
    char partial[4096];
    size_t len = strlen(path);

    if (len >= sizeof partial)
        return error_set(err, -ENAMETOOLONG, "path too long: %s", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, mode) < 0 && errno != EEXIST)
            return error_errno(err, -errno, "cannot make directory %s", partial);
    }
    return 0;
}

int file_write_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int make_parent(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *parent = NULL;

    if (!slash || slash == path)
        return 0;
    parent = strndup(path, (size_t)(slash - path));
    if (!parent)
        return error_errno(err, -ENOMEM, "cannot write %s", path);
    return file_mkdirs(parent, 0700, err);
}

int file_write(const char *path, const void *data, size_t len, mode_t mode, struct error *err)
{
    cleanup_free char *temporary = NULL;
    cleanup_close int fd = -1;
    int r = make_parent(path, err);

    if (r < 0)
        return r;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return error_errno(err, -ENOMEM, "cannot write %s", path);
    }
    fd = mkostemp(temporary, O_CLOEXEC); /* 0600 until fchmod: never wider than asked */
    if (fd < 0)
        return error_errno(err, -errno, "cannot make a file beside %s", path);
    r = file_write_all(fd, data, len);
    if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0))
        r = -errno;
    if (r < 0) {
        unlink(temporary);
        return error_errno(err, r, "cannot write %s", path);
    }
    return 0;
}
