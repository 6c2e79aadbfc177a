/* What a gated pod's volumes may be. */
#ifndef GITGATE_WEBHOOK_VOLUMES_H
#define GITGATE_WEBHOOK_VOLUMES_H

#include "data/document.h"
#include "data/problems.h"
#include "secrets.h"

/* Adds a problem for each volume of a kind that isn't known to stay in the pod, and for each that
 * isn't the gate's and reads a Secret with its credentials. */
void guard_volumes(const struct node *spec, const struct secrets *secrets,
                   struct problems *problems);

#endif
