/* What a gated pod must not have: whatever would let another container of the pod read the
 * credentials, or leave the pod as the gate does. */
#ifndef GITGATE_WEBHOOK_GUARD_H
#define GITGATE_WEBHOOK_GUARD_H

#include <stdbool.h>

#include "api/gitgate.h"
#include "data/document.h"
#include "data/problems.h"
#include "parts.h"

/* One container of a pod and where it stands. */
struct container {
    const char *list; /* "initContainers", "containers" or "ephemeralContainers" */
    size_t index;
    const struct node *node;
    const char *name; /* "" when it has none */
};

/* Calls `visit` for each container of the three lists, the injected ones not included. */
typedef void container_fn(const struct container *container, void *data);
void pod_other_containers(const struct node *pod, const struct parts *parts, container_fn *visit,
                          void *data);

/* Lists that nobody has so long: searched for each of the gate's containers and pull secrets, they
 * would keep the webhook, which serves all namespaces, busy for seconds. With one of them the pod
 * is not to be looked at further. */
void guard_size(const struct node *pod, struct problems *problems);

/* Adds a problem, with field path and remedy, for everything in the pod itself (not in its
 * containers) that stands against the gate, which has `group` in this pod. */
void guard_pod(const struct node *pod, const struct gitgate *gate, const struct secrets *secrets,
               uint32_t group, struct problems *problems);

/* The same for one container that is not ours. */
void guard_container(const struct container *container, const struct gitgate *gate,
                     const struct secrets *secrets, uint32_t group, struct problems *problems);

#endif
