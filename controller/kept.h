/* A GitGate as it is kept between two reconciles: as text. A tree is ten times that. */
#ifndef GITGATE_CONTROLLER_KEPT_H
#define GITGATE_CONTROLLER_KEPT_H

#include <jansson.h>

#include "data/document.h"

struct kept_gate {
    json_t *selector; /* spec.podSelector, or NULL */
    const char *text; /* of the whole object without managedFields; behind the version */
    char version[];
};

/* For kube_watch_spec. */
void *kept_gate_new(const struct node *object);
void kept_gate_free(void *kept);

/* The object, new; NULL when memory is short. */
json_t *kept_gate_object(const struct kept_gate *kept);

#endif
