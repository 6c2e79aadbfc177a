/* Takes away the objects of a repository that no ref reaches any more. */
#ifndef GITGATE_GATE_COLLECT_H
#define GITGATE_GATE_COLLECT_H

#include "gate.h"

/* Packs all that is reachable anew while others work, then, alone in the repository for a moment,
 * removes the packs that were there before. Killed anywhere, it leaves all that is reachable.
 * -EBUSY when others never left it alone, -EAGAIN when a ref has come meanwhile to what would have
 * gone; nothing is lost then but the work. */
int collect(const struct gate *gate, const struct upstream *upstream, const char *repo,
            struct error *err);

#endif
