/* What objects.c, contents.c and locate.c share. */
#ifndef GITGATE_GATE_OBJECTS_IMPL_H
#define GITGATE_GATE_OBJECTS_IMPL_H

#include "child.h"
#include "scan/objects.h"

#define LIST_FILE "objects" /* rev-list's output, kept to find a commit later */
#define READ_FILE "read"    /* of it what is to be read: not known to be clean */
#define CHUNK 65536

struct objects {
    const char *repo;
    struct dissection *dissection;
    struct workdir *dir;
    const struct clean *clean;
    const struct walk *walk; /* or NULL; then there are neither of the files */
    bool *wanted;            /* of the walk's objects, which are to be read */
    size_t listed;           /* all that are new */
    size_t n;                /* of those to be read */
    uint64_t bytes;
};

/* rev-list's line of the walk's i-th object. */
#define WALK_LINE_MAX (WALK_PATH_MAX + 2 * OID_HEX_MAX)
int objects_walked_line(const struct objects *o, size_t i, struct buf *to, struct error *err);

/* Opens a file of the work folder; the descriptor, or a negative errno. */
int objects_open(const struct objects *o, const char *name, int flags, struct error *err);

/* Starts git on the repository with its quarantine; its words are kept for objects_expect_clean. */
int objects_start_git(const struct objects *o, const char *const *argv, int in, struct child *child,
                      struct error *err);

/* Requires what git must be: silent and successful. Anything else hides objects. */
int objects_expect_clean(const struct objects *o, int code, const char *what, struct error *err);

/* contents.c: takes each object apart that READ_FILE names. */
int objects_read(struct objects *o, struct error *err);

#endif
