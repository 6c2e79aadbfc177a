/* What came of a push: read off what `git push --porcelain` prints and, where that is silent, off
 * what the upstream has. Pure. */
#ifndef GITGATE_GATE_PUSHED_H
#define GITGATE_GATE_PUSHED_H

#include <stdbool.h>

#include "base/buf.h"
#include "policy.h"

#define PUSHED_REASON_MAX 500

enum pushed_state {
    PUSHED_UNKNOWN, /* the upstream has not said */
    PUSHED_TAKEN,
    PUSHED_REFUSED
};

/* Of one command of a push. */
struct pushed {
    enum pushed_state state;
    char reason[PUSHED_REASON_MAX]; /* "" when taken; one line */
};

/* Gives each command's `each` what a line of `answer` says of it: "<flag>\t<from>:<to>\t<summary>"
 * (git-push(1)). A command without a line, or whose line says that the upstream did not report,
 * stays unknown. */
void pushed_read(const struct push *push, const char *answer, struct pushed *each);

/* Whether all of the push is taken. */
bool pushed_all(const struct push *push, const struct pushed *each);

/* Settles what is not taken by `refs`, what `git ls-remote` prints after the push (NULL: it could
 * not be asked). A ref that is where the push would have it was taken, also where the answer says
 * otherwise: libcurl sends a request again on a connection that was lost, and the answer to the
 * second is that the first has moved the ref. What stays unknown gets `why` and that it may yet
 * move: a server may go on with a push whose sender is gone. */
void pushed_settle(const struct push *push, const char *refs, const char *why, struct pushed *each);

#endif
