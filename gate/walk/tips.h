/* Whether a commit is the tip of one of the gate's refs, by their files and without git.
 * gitrepository-layout(5): a ref's own file counts before its line in packed-refs. */
#ifndef GITGATE_GATE_TIPS_H
#define GITGATE_GATE_TIPS_H

#include <stdbool.h>

#include "base/buf.h"
#include "policy.h"

struct tips {
    const char *repo;
    const struct push *push;
    struct buf packed; /* packed-refs, behind a line end */
    bool read;
};

#define PACKED_REFS_MAX (4u << 20)
#define TIPS_INIT(r, p)                                                                            \
    ((struct tips){.repo = (r), .push = (p), .packed = BUF_INIT(PACKED_REFS_MAX)})

void tips_done(struct tips *tips);

/* True only for what is certain: looked at are the refs that the push names, HEAD's, and packed
 * ones. What a client says of a ref's value counts for nothing. */
bool tips_have(struct tips *tips, const char *id);

#endif
