/* The shell around reconcile: watches, work queue, look-ups, and what is remembered a gate. */
#ifndef GITGATE_CONTROLLER_CONTROLLER_H
#define GITGATE_CONTROLLER_CONTROLLER_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"
#include "base/log.h"
#include "kube/client.h"
#include "kube/lease.h"
#include "kube/watch.h"
#include "measure.h"
#include "metrics/metrics.h"
#include "pods.h"
#include "queue.h"
#include "reconcile.h"
#include "resolve.h"

struct job;

struct controller {
    uv_loop_t *loop;
    struct kube_client *client;
    const struct log *log;
    struct kube_watch *gates;   /* store: struct kept_gate */
    struct kube_watch *secrets; /* stores: struct seen, of all objects: sources and owned */
    struct kube_watch *config_maps;
    struct kube_watch *policies;
    struct pods pods;
    struct queue *queue;
    struct resolver *resolver;
    struct kube_store *states;     /* struct gate_state */
    struct kube_store *references; /* see state.h */
    struct job *jobs;              /* in work */
    bool synced;                   /* all of them, and the pods */
    struct kube_lease *lease;      /* without it nothing is written */
    char identity[128];            /* in it: host name and chance */
    struct measure measure;
    uv_timer_t *lull; /* no work for some time; or NULL */
    bool stopping;    /* see controller_finish */
    void (*finished)(void *data);
    void *data;
};

/* Watches one namespace, or all (NULL; borrowed). The Lease that decides who of several replicas
 * works is in that namespace, else in the config's. `log` and `metrics` (may be NULL) are borrowed.
 */
int controller_start(uv_loop_t *loop, const struct kube_config *config, const char *namespace_,
                     const struct log *log, struct metrics *metrics, struct controller *ret,
                     struct error *err);

/* Ends in order: each job ends with the write that it has on its way, the lease is given back, and
 * `finished` is called. No more is written after that; controller_stop follows. */
void controller_finish(struct controller *controller, void (*finished)(void *data), void *data);

/* For the watches: the first list of one has come. `controller` is a struct controller. */
void controller_synced(void *controller);

/* Likewise: of an object came what can't be read. */
void controller_unreadable(void *controller, const struct kube_resource *resource);

/* The pods of that gate (if there is one) are others than before; they come in swarms. */
void controller_recount(struct controller *controller, const char *ns, const char *gate);

/* A job's last word. */
void controller_job_ended(struct controller *controller);

/* Drops what is in work (a write on its way may or may not arrive: the next start finds out).
 * Handles close on the loop. */
void controller_stop(struct controller *controller);

/* The watch by which objects of that type are seen. */
struct kube_watch *controller_watch(const struct controller *controller,
                                    const struct kube_resource *resource);

#endif
