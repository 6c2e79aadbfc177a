/* What a gated pod's volumes may be, and who of it may read which Secret. */
#ifndef GITGATE_WEBHOOK_VOLUMES_H
#define GITGATE_WEBHOOK_VOLUMES_H

#include "api/gitgate.h"
#include "data/document.h"
#include "data/problems.h"

/* Adds a problem for each volume of a kind that isn't known to stay in the pod, and for each that
 * isn't the gate's and reads a Secret with its credentials. */
void guard_volumes(const struct node *spec, const struct gitgate *gate, struct problems *problems);

/* The name of a Secret that `node` (a volume, a container) takes something from and that holds a
 * credential of a gate: this one's copy, another gate's, or what this one's is copied from. NULL
 * when there is none; borrowed from the node. */
const char *find_gate_secret(const struct node *node, const struct gitgate *gate);

#endif
