/* A GitGate as the webhook keeps it: decoded once when it changes, not with every pod. */
#ifndef GITGATE_WEBHOOK_GATE_H
#define GITGATE_WEBHOOK_GATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/gitgate.h"
#include "render/render.h"

struct gate {
    json_t *object; /* owned */
    const char *namespace_;
    const char *name;
    const json_t *pod_selector; /* borrowed from object; NULL: pods name the gate by label */
    char *problem;              /* owned: why it can't be used; NULL: `spec` and `version` hold */
    bool decoded;
    struct gitgate spec;
    struct render_version version;
};

/* Takes any object, also one that does not decode: the pods that ask for that gate are told so.
 * NULL when memory is short or the object has no name. */
struct gate *gate_new(const json_t *object);
void gate_free(struct gate *gate);

/* The gates of one namespace. */
struct gate_list {
    const struct gate *const *gates;
    size_t n;
};

#endif
