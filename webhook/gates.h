/* The cluster's GitGates, kept by a watch: admissions are answered from memory. */
#ifndef GITGATE_WEBHOOK_GATES_H
#define GITGATE_WEBHOOK_GATES_H

#include <stdbool.h>

#include "base/error.h"
#include "base/log.h"
#include "gate.h"
#include "kube/client.h"
#include "metrics/metrics.h"

struct gates;

/* `metrics` may be NULL. */
int gates_new(struct kube_client *client, const struct log *log, struct metrics *metrics,
              struct gates **ret, struct error *err);

/* Before kube_client_free; the loop must run once more. NULL is fine. */
void gates_free(struct gates *gates);

/* The first list has come: what is not known now does not exist, or has just been made. */
bool gates_synced(const struct gates *gates);

/* Valid until the next call or the next turn of the loop. -ENOMEM. */
int gates_of(struct gates *gates, const char *namespace_, struct gate_list *ret);

#endif
