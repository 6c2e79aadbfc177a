/* Whole files: read with a cap, written so that a reader sees the old content or the new. */
#ifndef GITGATE_BASE_FILE_H
#define GITGATE_BASE_FILE_H

#include <dirent.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* Appends the file's content to `into`; -E2BIG when it would pass the buffer's cap. */
int file_read(const char *path, struct buf *into, struct error *err);

/* Writes a temporary file beside `path` with `mode` from its first byte on, syncs it, renames it.
 * Missing parent directories are made with mode 0700. */
int file_write(const char *path, const void *data, size_t len, mode_t mode, struct error *err);

/* All of it, however many writes that takes, a signal between them or not; 0 or a negative errno.
 */
int file_write_all(int fd, const void *data, size_t len);

/* mkdir -p; directories that are made get `mode`. */
int file_mkdirs(const char *path, mode_t mode, struct error *err);

/* The folder's next entry; NULL at its end, and where it can't be read, which `r` says then (a
 * negative errno; else it stays as it is). */
const struct dirent *dir_next(DIR *dir, int *r);

#endif
