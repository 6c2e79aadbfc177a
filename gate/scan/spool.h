/* Content that comes in parts and is looked at whole: in memory while it is small, else in a file
 * without a name in the work folder. */
#ifndef GITGATE_GATE_SPOOL_H
#define GITGATE_GATE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "workdir.h"

/* More than this goes to disk: most of what people commit is smaller, and several may be open at
 * once (an archive in an archive). */
#define SPOOL_MEMORY_MAX (1u << 20)

struct spool {
    struct workdir *dir;
    struct buf memory;
    int fd; /* -1: all is in memory */
    uint64_t written;
    char *map; /* what spool_view has shown of the file */
};

#define SPOOL_INIT(workdir)                                                                        \
    ((struct spool){.dir = (workdir), .memory = BUF_INIT(SPOOL_MEMORY_MAX), .fd = -1})
#define cleanup_spool CLEANUP(spool_done)

void spool_done(struct spool *spool);

int spool_add(struct spool *spool, const char *data, size_t len, struct error *err);

/* All of it, which stays the spool's; nothing can be added any more. */
int spool_view(struct spool *spool, const char **data, size_t *len, struct error *err);

/* What lies before `upto` will not be looked at soon: a file's pages need not stay in memory. */
void spool_forget(struct spool *spool, size_t upto);

#endif
