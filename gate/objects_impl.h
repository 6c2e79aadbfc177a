/* What objects.c, contents.c and locate.c share: the work folder's files and what is known of them.
 */
#ifndef GITGATE_GATE_OBJECTS_IMPL_H
#define GITGATE_GATE_OBJECTS_IMPL_H

#include "child.h"
#include "objects.h"

#define LIST_FILE "objects" /* rev-list's output, kept to find a commit later */
#define NAMES_FILE "names"
#define REFS_FILE "refs"
#define COMMIT_SUFFIX "-commit"
#define TAG_SUFFIX "-tag"

#define CHUNK 65536

/* Each file starts with a line end of ours: gitleaks skips what looks like a program or an archive
 * by its first bytes. */
#define LEAD "\n"
#define LEAD_LEN 1

struct new_path {
    size_t path, object; /* offsets in `names` */
    unsigned line;       /* in NAMES_FILE, from 1 */
};

struct objects {
    const char *repo;
    const struct workdir *dir;
    uint64_t deadline_ns;
    size_t n;
    uint64_t bytes;
    struct buf names;
    struct new_path *list;
    size_t n_names, size_names;
};

/* Opens a file of the work folder; the descriptor, or a negative errno. */
int objects_open(const struct objects *o, const char *name, int flags, struct error *err);

/* Writes to a file of SCAN_DIR, and counts; -EFBIG past UNPACKED_MAX. */
int objects_append(struct objects *o, int fd, const char *data, size_t len, struct error *err);

/* A whole new file of SCAN_DIR. */
int objects_put(struct objects *o, const char *name, const char *data, size_t len,
                struct error *err);

/* Starts git on the repository with its quarantine; its words are kept for objects_expect_clean. */
int objects_start_git(const struct objects *o, const char *const *argv, int in, struct child *child,
                      struct error *err);

/* Requires what git must be: silent and successful. Anything else hides objects. */
int objects_expect_clean(const struct objects *o, int code, const char *what, struct error *err);

/* contents.c: writes each object that LIST_FILE names into SCAN_DIR, and collects the paths. */
int objects_read(struct objects *o, struct error *err);

#endif
