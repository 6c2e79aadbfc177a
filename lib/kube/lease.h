/* Leader election: of the processes that ask for one Lease, at most one holds it
 * (https://kubernetes.io/docs/concepts/architecture/leases/#leader-election).
 *
 * The times are those that Kubernetes' own components use. A holder that could not renew for
 * KUBE_LEASE_RENEW_MS has lost the lease by its own clock, before anybody else may take it; a write
 * that is begun until then has the rest of the time, see kube_lease_time_to_write.
 * Clocks are never compared between machines: each measures how long it has seen no change. */
#ifndef GITGATE_KUBE_LEASE_H
#define GITGATE_KUBE_LEASE_H

#include <stdbool.h>

#include "base/log.h"
#include "kube/client.h"

#define KUBE_LEASE_DURATION_MS 15000u /* unrenewed for so long, others may take it */
#define KUBE_LEASE_RENEW_MS 10000u    /* unrenewed for so long, its holder gives up */
#define KUBE_LEASE_RETRY_MS 2000u     /* between two attempts to renew or to take it */

struct kube_lease_spec {
    const char *namespace_, *name; /* borrowed */
    const char *identity;          /* borrowed; no two processes have the same */
    void (*acquired)(void *data);
    void (*lost)(void *data);     /* stop at once */
    void (*released)(void *data); /* what kube_lease_release asked for is over */
    void *data;
};

struct kube_lease;

/* Tries at once. `log` may be NULL. */
int kube_lease_start(struct kube_client *client, const struct kube_lease_spec *spec,
                     const struct log *log, struct kube_lease **ret, struct error *err);

/* Asks the clock, so it is right also where no timer has run yet: after the process or the machine
 * stood still. NULL: false. */
bool kube_lease_held(const struct kube_lease *lease);

/* Milliseconds within which a write that is sent now must have ended, or 0: nothing may be sent. */
uint64_t kube_lease_time_to_write(const struct kube_lease *lease);

/* Gives the lease back, so that another can take it at once, and asks for it no more. `released` is
 * called when that is done or has failed, from within when there is nothing to give back. */
void kube_lease_release(struct kube_lease *lease);

/* Ends it without a word to anybody. Before kube_client_free; the loop must run once more. NULL is
 * fine. Not from its own callbacks but `released`. */
void kube_lease_stop(struct kube_lease *lease);

#endif
