/* The mutating webhook, pure: from a pod's review and its namespace's gates to a patch or a
 * refusal. */
#ifndef GITGATE_WEBHOOK_INJECT_H
#define GITGATE_WEBHOOK_INJECT_H

#include <stdint.h>

#include "gate.h"
#include "review.h"

struct inject_options {
    struct parts_options parts;
    uint64_t random;        /* bits for the pod's group (group.h): as hard to guess as they come */
    bool namespace_enabled; /* the pod's namespace has label gitgate.dev/injection=enabled */
};

/* For CREATE of pods, and UPDATE of pods/ephemeralcontainers (new ones alone). Idempotent: a pod as
 * the patch makes it gets an empty patch, whatever `random` is then. Everything that stands against
 * the pod is told at once.
 */
void inject(const struct review *review, struct gate_list gates,
            const struct inject_options *options, struct decision *ret);

#endif
