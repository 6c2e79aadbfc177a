/* A mirror of the upstream, made true: what the upstream has now is what the repository has. */
#ifndef GITGATE_GATE_MIRROR_H
#define GITGATE_GATE_MIRROR_H

#include <stdbool.h>

#include "gate.h"

/* Asks the upstream for its refs and fetches only when they differ from ours; deleted refs go, HEAD
 * follows. The repository's lock is held. The error is one line for the client to read; what git
 * said is logged. `changed` tells whether anything moved. */
int mirror_update(const struct gate *gate, const struct upstream *upstream, const char *repo,
                  bool *changed, struct error *err);

#endif
