/* What every other container of a gated pod gets: the git configuration that leads to the gate, and
 * the limits without which the split by user id would not hold. */
#ifndef GITGATE_WEBHOOK_AGENT_H
#define GITGATE_WEBHOOK_AGENT_H

#include "guard.h"
#include "patch.h"

/* Adds operations for what the container lacks, and problems for what can't be done. */
void agent_container(const struct container *container, const struct gitgate *gate,
                     const struct parts *parts, struct patch *patch, struct problems *problems);

#endif
