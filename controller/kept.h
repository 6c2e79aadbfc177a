/* A GitGate as it is kept between two reconciles: as text. A tree is ten times that. */
#ifndef GITGATE_CONTROLLER_KEPT_H
#define GITGATE_CONTROLLER_KEPT_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "data/document.h"

struct kept_gate {
    json_t *selector; /* spec.podSelector, or NULL */
    uint64_t version;
    char text[]; /* of the whole object without managedFields */
};

/* For kube_watch_spec. */
int kept_gate_add(const struct node *object, struct buf *kept);
void kept_gate_done(void *kept);

/* The object, new; NULL when memory is short. */
json_t *kept_gate_object(const struct kept_gate *kept);

#endif
