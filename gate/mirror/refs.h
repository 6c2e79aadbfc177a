/* What refs a repository has, compared with another's. Pure. */
#ifndef GITGATE_GATE_REFS_H
#define GITGATE_GATE_REFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "policy.h"

/* Refs as lines "<name> <oid>", sorted by name: equal texts are equal repositories. */
struct refs {
    char **lines; /* into text */
    size_t n;
    struct buf text;
    char head[PUSH_REF_MAX + 1];    /* the branch that HEAD names, or "" */
    char head_oid[OID_HEX_MAX + 1]; /* what HEAD is */
};

/* `max` bytes of names and ids. */
#define REFS_INIT(max) ((struct refs){.text = BUF_INIT(max)})

void refs_done(struct refs *refs);

/* `list` is what `git ls-remote --symref` prints: "<value>\t<name>" a line. It is cut up. The
 * gate's own refs (OWN_REFS) and what tags point to ("^{}") are left out. */
int refs_parse(char *list, struct refs *refs, struct error *err);

bool refs_equal(const struct refs *a, const struct refs *b);

/* A line of a branch or tag that an upstream had `before` and `after`, and that we have not, or
 * NULL. What moved in between may be either. */
const char *refs_left_out(const struct refs *before, const struct refs *after,
                          const struct refs *mine);

/* Appends to `to`, for `git update-ref --stdin -z`, the deletion of each ref of `mine` whose name
 * `theirs` hasn't got; returns how many. */
size_t refs_delete_gone(const struct refs *mine, const struct refs *theirs, struct buf *to);

#endif
