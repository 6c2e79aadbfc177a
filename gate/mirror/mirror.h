/* A mirror of the upstream, made true: what the upstream has now is what the repository has. */
#ifndef GITGATE_GATE_MIRROR_H
#define GITGATE_GATE_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "gate.h"

struct mirror_update {
    bool changed; /* whether anything moved */
    uint64_t
        asked_ns; /* clock_now_ns when the upstream was asked: who came before is served by it */
};

/* Asks the upstream for its refs and fetches only when they differ from ours; deleted refs go, HEAD
 * follows. What came from another URL than the upstream's is taken away once that has answered. The
 * repository's lock is held. The error is one line for the client to read; what git
 * said is logged. A mirror that is found to be damaged is set aside and made anew. `update` is
 * filled in whatever came of it. */
int mirror_update(const struct gate *gate, const struct upstream *upstream, const char *repo,
                  struct mirror_update *update, struct error *err);

/* Reads the whole mirror; one that is damaged is set aside and made anew, which `anew` tells. Takes
 * the repository's lock when it comes to that, and reads the configuration again. */
int mirror_check(struct gate *gate, const struct upstream **upstream, const char *repo, bool *anew,
                 struct error *err);

#endif
