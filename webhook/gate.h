/* A GitGate as the webhook keeps it: decoded once when it changes, not with every pod. */
#ifndef GITGATE_WEBHOOK_GATE_H
#define GITGATE_WEBHOOK_GATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/gitgate.h"
#include "parts.h"
#include "render/render.h"

struct gate {
    char *namespace_; /* these are owned */
    char *name;
    json_t *pod_selector; /* NULL: pods name the gate by label */
    char *problem;        /* why it can't be used; NULL: `spec` and `version` hold */
    char *not_ready;      /* what its condition Ready says while that is False; or NULL */
    bool decoded;
    size_t weight; /* about in bytes; 0 where nobody asks */
    /* Without what injection doesn't ask for: scan, agentEgress, push, host keys. */
    struct gitgate spec;
    struct render_version version;
    struct parts *parts; /* see gate_parts */
};

/* Takes any object, also one that does not decode: the pods that ask for that gate are told so.
 * NULL when memory is short or the object has no name. */
struct gate *gate_new(const json_t *object);
void gate_free(struct gate *gate);

/* What its pods get, made when it is first asked for: the options are those of the installation,
 * the same every time. NULL when memory is short. */
const struct parts *gate_parts(struct gate *gate, const struct parts_options *options);

/* The gates of one namespace. */
struct gate_list {
    struct gate *const *gates;
    size_t n;
};

#endif
