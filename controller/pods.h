/* The pods that have a gate or should have: seen as metadata alone, of which labels and the
 * injection's annotation are kept.
 *
 * Pods that name a gate are always watched; others only once a GitGate with a podSelector lies in a
 * namespace that asks for injection. With --namespace the second isn't known: a Role can't let a
 * program list namespaces. Finished pods don't count. */
#ifndef GITGATE_CONTROLLER_PODS_H
#define GITGATE_CONTROLLER_PODS_H

#include <stdbool.h>

#include "api/gitgate.h"
#include "base/error.h"
#include "census.h"
#include "kube/watch.h"

struct controller;

struct pods {
    struct kube_watch *named;
    struct kube_watch *others;     /* NULL: not needed yet */
    struct kube_watch *namespaces; /* that ask for injection; NULL with --namespace */
    struct kube_store *costs;      /* by namespace: what counting took there */
    const char *namespace_;        /* borrowed; NULL: all */
};

int pods_watch(struct controller *controller, const char *namespace_, struct error *err);
void pods_stop(struct pods *pods);

/* The first lists of what is watched have come. */
bool pods_synced(const struct pods *pods);

/* Watches other pods from now on if this gate needs it. Not from a watch's callback. */
void pods_consider(struct controller *controller, const struct gitgate *gate);

/* Milliseconds for which nothing is to be counted in that namespace, as it has taken too much of
 * the time that is everybody's; mostly 0. */
uint64_t pods_wait(const struct pods *pods, const char *ns);

void pods_count(const struct pods *pods, const struct gitgate *gate, struct census *ret);

#endif
