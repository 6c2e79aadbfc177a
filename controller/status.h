/* The GitGate's status: conditions as the API conventions want them
 * (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties).
 */
#ifndef GITGATE_CONTROLLER_STATUS_H
#define GITGATE_CONTROLLER_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"

#define CONDITION_MESSAGE_MAX 4096 /* metav1.Condition allows 32768; a person reads less */

#define REASON_KEPT "KeptAddresses" /* the one that holds and is worth a warning */
#define REASON_SELECTOR_IDLE "PodSelectorIdle"

struct condition {
    const char *type;
    const char *status; /* "True", "False", "Unknown" */
    const char *reason; /* CamelCase */
    struct buf message;
};

/* All True with no reason yet. */
struct conditions {
    struct condition credentials_resolved;
    struct condition rendered;
    struct condition upstreams_resolved;
    bool selector_idle; /* see struct census; Ready says so */
};

#define cleanup_conditions CLEANUP(conditions_done)

void conditions_init(struct conditions *conditions);
void conditions_done(struct conditions *conditions);

/* False with that reason; the first reason stays, messages are joined by "; ". */
__attribute__((format(printf, 3, 4))) void condition_fail(struct condition *condition,
                                                          const char *reason, const char *fmt, ...);

/* Reason and message of a condition that holds. */
__attribute__((format(printf, 3, 4))) void condition_hold(struct condition *condition,
                                                          const char *reason, const char *fmt, ...);

/* Nothing can be said about it now. */
void condition_unknown(struct condition *condition, const char *reason, const char *message);

/* The conditions as JSON, with Ready made from the others; lastTransitionTime is taken from
 * `before` (the present list, or NULL) where the status is the same. */
json_t *conditions_json(const struct conditions *conditions, const json_t *before,
                        uint64_t generation, time_t now);

/* The element of that type, or NULL. */
const json_t *condition_find(const json_t *list, const char *type);

#endif
