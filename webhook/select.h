/* Which gate a pod gets: the one that its label names, or the one whose podSelector matches it. */
#ifndef GITGATE_WEBHOOK_SELECT_H
#define GITGATE_WEBHOOK_SELECT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "data/document.h"
#include "gate.h"

enum selection {
    SELECT_NONE,
    SELECT_GATE,
    SELECT_MISSING, /* the label names a gate that isn't there */
    SELECT_REFUSED,
};

/* `namespace_enabled`: the pod's namespace is labelled gitgate.dev/injection=enabled, so
 * podSelectors count. SELECT_REFUSED says in `reason` what to change. */
enum selection select_gate(const struct node *pod, const char *namespace_, bool namespace_enabled,
                           struct gate_list gates, struct gate **ret, struct buf *reason);

/* The value of label gitgate.dev/gate, or NULL. */
const char *pod_gate_label(const struct node *pod);

#endif
