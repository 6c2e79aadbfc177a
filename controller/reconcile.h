/* The heart: from what is to what is to be done. Pure: no I/O, no clock, no state. */
#ifndef GITGATE_CONTROLLER_RECONCILE_H
#define GITGATE_CONTROLLER_RECONCILE_H

#include <jansson.h>
#include <stdbool.h>
#include <time.h>

#include "observed.h"

enum step_verb {
    STEP_CREATE, /* fail if there is one meanwhile */
    STEP_UPDATE, /* apply, and fail if it is another object meanwhile */
    STEP_DELETE,
};

struct step {
    enum step_verb verb;
    enum owned which;
    json_t *object; /* what to write; of a delete only its metadata */
};

struct plan {
    bool need_sources; /* read them and come again: nothing else is decided */
    struct step steps[OWNED_N];
    size_t n_steps;
    bool right[OWNED_N];    /* what was found as it should be, at the version that was seen */
    json_t *creds_problems; /* when the credentials were made: to be remembered; else NULL */
    json_t *status; /* to be written when all steps succeeded; NULL: it is as it should be */
};

#define cleanup_plan CLEANUP(plan_done)

/* 0 or -ENOMEM. */
int reconcile(const struct observed *observed, time_t now, struct plan *ret);

/* Frees it; what is in the objects is wiped. */
void plan_done(struct plan *plan);

/* The status to write when that step of the plan failed (NULL: it is that already). */
json_t *reconcile_failed(const struct observed *observed, const struct plan *plan,
                         const struct step *step, const char *message, time_t now);

#endif
