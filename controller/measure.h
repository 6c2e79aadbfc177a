/* What the controller counts, under the names that users of controller-runtime and client-go know:
 * gitgate_controller_reconcile_*, leader_election_master_status, rest_client_requests_total. The
 * queue counts its workqueue_* itself. */
#ifndef GITGATE_CONTROLLER_MEASURE_H
#define GITGATE_CONTROLLER_MEASURE_H

#include <stdint.h>

#include "kube/client.h"
#include "kube/resource.h"
#include "metrics/metrics.h"

/* The value of the labels "name" and "controller". */
#define MEASURE_NAME "gitgate"

enum outcome { OUTCOME_SUCCESS, OUTCOME_ERROR, OUTCOME_REQUEUE_AFTER };

struct measure {
    struct metric *reconciles, *errors, *seconds, *active;
    struct metric *leads, *requests, *unreadable;
    unsigned working;
    char host[METRIC_LABEL_VALUE_MAX]; /* the API server's, with its port */
};

/* `metrics` may be NULL: then nothing is counted. `workers`: how many gates are in work at most. */
void measure_init(struct measure *measure, struct metrics *metrics, const char *server,
                  unsigned workers);

void measure_begin(struct measure *measure);

/* Each measure_begin needs one. `begun`: uv_hrtime then. */
void measure_end(struct measure *measure, enum outcome outcome, uint64_t begun);

/* One that was called off: neither success nor error. */
void measure_cancel(struct measure *measure);

void measure_leads(struct measure *measure, const char *lease, bool leads);

/* For kube_client_observe; `measure` is a struct measure. */
void measure_answer(void *measure, const char *method, int status);

/* An object came that can't be read. */
void measure_unreadable(struct measure *measure, const struct kube_resource *resource);

#endif
