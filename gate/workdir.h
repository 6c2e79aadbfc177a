/* A private folder for what one scan writes, gone when the scan ends. Most scans write nothing: it
 * is made when it is needed. */
#ifndef GITGATE_GATE_WORKDIR_H
#define GITGATE_GATE_WORKDIR_H

#include <limits.h>
#include <stddef.h>

#include "base/error.h"

/* Below the repositories, where the disk is that a push has to fit on. */
#define WORK_DIR ".gitgate"

struct workdir {
    char base[PATH_MAX]; /* the folder that it is made in; "": none */
    char path[PATH_MAX]; /* "" when there is none yet */
};

int workdir_init(const char *repos_dir, struct workdir *ret, struct error *err);

/* Makes it, unless it is there: before the first workdir_path. */
int workdir_make(struct workdir *dir, struct error *err);
void workdir_done(struct workdir *dir);

/* What killed scans left behind; called when none can be running. */
void workdir_sweep(const char *repos_dir);

/* "<dir>/<name>"; never too long: names are ours. */
void workdir_path(const struct workdir *dir, const char *name, char to[PATH_MAX]);

/* A new file of the folder. Unlike file_write it waits for no disk: nobody reads it after a crash.
 */
int workdir_write(struct workdir *dir, const char *name, const void *data, size_t len,
                  struct error *err);

#endif
