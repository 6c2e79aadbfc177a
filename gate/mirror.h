/* A mirror of the upstream, made true: what the upstream has now is what the repository has. */
#ifndef GITGATE_GATE_MIRROR_H
#define GITGATE_GATE_MIRROR_H

#include <stdbool.h>

#include "gate.h"

/* Asks the upstream for its refs and fetches only when they differ from ours; deleted refs go, HEAD
 * follows. The repository's lock is held. The error is one line for the client to read; what git
 * said is logged. `changed` tells whether anything moved. A mirror that is found to be damaged is
 * set aside and made anew. */
int mirror_update(const struct gate *gate, const struct upstream *upstream, const char *repo,
                  bool *changed, struct error *err);

/* Reads the whole mirror; one that is damaged is set aside and made anew, which `anew` tells. Takes
 * the repository's lock when it comes to that. */
int mirror_check(const struct gate *gate, const struct upstream *upstream, const char *repo,
                 bool *anew, struct error *err);

#endif
