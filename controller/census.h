/* A gate's pods, counted. */
#ifndef GITGATE_CONTROLLER_CENSUS_H
#define GITGATE_CONTROLLER_CENSUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/names.h"

#define CENSUS_NAMES 3 /* enough to begin with; `kubectl get pods -l` tells them all */

struct pod_group {
    size_t n;
    char names[CENSUS_NAMES * (NAME_MAX_LEN + 2)]; /* of the first ones: "a, b, c" */
};

struct census {
    size_t gated;              /* that have the gate, also an outdated one */
    struct pod_group outdated; /* of them: made for another template than the gate's present one */
    struct pod_group missing;  /* the gate's by label or podSelector, and without it */
    bool selector_idle;        /* its podSelector selects none: the namespace is not enabled */
};

void census_add(struct pod_group *group, const char *name);

/* For the status. NULL when memory is short. */
json_t *census_json(const struct census *census);

#endif
