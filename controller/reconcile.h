/* The heart: from what is to what is to be done. Pure: no I/O, no clock, no state. */
#ifndef GITGATE_CONTROLLER_RECONCILE_H
#define GITGATE_CONTROLLER_RECONCILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "api/gitgate.h"
#include "api/names.h"
#include "census.h"
#include "data/problems.h"
#include "digest.h"
#include "kube/resource.h"
#include "render/render.h"
#include "seen.h"

/* The objects that a GitGate owns, in the order in which they are written: the policies first, so
 * that nothing is open before it is closed. Indexes of observed.owned and the like. */
enum owned { OWNED_INTERNAL, OWNED_EGRESS, OWNED_CREDS, OWNED_HOOKS, OWNED_CLIENT, OWNED_N };

struct owned_type {
    enum owned_name name;
    const struct kube_resource *resource;
};
extern const struct owned_type owned_types[OWNED_N];

struct resolved {
    const char *const *ips; /* NULL-terminated; may be empty */
    const char *error;      /* why the last look-up failed, or "" */
};

struct observed {
    const json_t *object;           /* the GitGate as the API server has it */
    const json_t *status;           /* its status as it was last written or seen; NULL: none */
    const struct gitgate *gate;     /* decoded; NULL: it could not be, see `invalid` */
    const struct problems *invalid; /* why */

    const struct seen *owned[OWNED_N]; /* NULL: there is none of that name */
    const char *accepted[OWNED_N];     /* the version that our last apply led to, or NULL */

    const struct resolved *resolved; /* one an upstream, in order */

    const struct census *census; /* its pods; NULL: not known now, the status keeps what it says */

    struct digest made_from;              /* of what the credentials are made from now */
    const json_t *creds_problems;         /* array of {path, message}, found when the credentials
                                             were last made from just that; NULL: not known */
    const struct render_sources *sources; /* NULL: not read yet, see need_sources */
};

enum step_verb {
    STEP_CREATE, /* apply, and fail if there is one meanwhile */
    STEP_UPDATE, /* apply, and fail if it is another object meanwhile */
    STEP_DELETE,
};

struct step {
    enum step_verb verb;
    enum owned which;
    json_t *object; /* what to apply; of a delete only its metadata */
};

struct plan {
    bool need_sources; /* read them and come again: nothing else is decided */
    struct step steps[OWNED_N];
    size_t n_steps;
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
