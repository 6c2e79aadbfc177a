/* To be preloaded: what the host trusts, /etc/ssl/certs, lies in the folder $HOST_AUTHORITIES. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct place {
    char path[4096];
};

static struct place place_of(const char *path)
{
    static const char theirs[] = "/etc/ssl/certs";
    size_t len = sizeof theirs - 1;
    struct place place;

    if (strncmp(path, theirs, len) == 0 && (path[len] == '/' || !path[len]))
        snprintf(place.path, sizeof place.path, "%s%s", getenv("HOST_AUTHORITIES"), path + len);
    else
        snprintf(place.path, sizeof place.path, "%s", path);
    return place;
}

int stat(const char *restrict path, struct stat *restrict ret)
{
    return fstatat(AT_FDCWD, place_of(path).path, ret, 0);
}

static FILE *open_for_reading(const char *path, const char *mode)
{
    int fd = *mode == 'r' ? open(place_of(path).path, O_RDONLY | O_CLOEXEC) : -1;

    return fd < 0 ? NULL : fdopen(fd, mode);
}

FILE *fopen(const char *restrict path, const char *restrict mode)
{
    return open_for_reading(path, mode);
}

FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    return open_for_reading(path, mode);
}
