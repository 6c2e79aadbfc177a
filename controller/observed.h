/* What reconcile is told, and the questions that are asked of it in more than one place. */
#ifndef GITGATE_CONTROLLER_OBSERVED_H
#define GITGATE_CONTROLLER_OBSERVED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/gitgate.h"
#include "api/names.h"
#include "census.h"
#include "data/problems.h"
#include "digest.h"
#include "kube/resource.h"
#include "render/render.h"
#include "seen.h"

/* The objects that a GitGate owns, in the order in which they are written: the policies first, so
 * that nothing is open before it is closed; the credentials behind what runs with them. Indexes of
 * observed.owned and the like. */
enum owned { OWNED_INTERNAL, OWNED_EGRESS, OWNED_HOOKS, OWNED_CREDS, OWNED_CLIENT, OWNED_N };

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
    uint64_t accepted[OWNED_N];        /* the version at which it was right: our last write led to
                                          it, or it was found so; 0: not known */

    const struct resolved *resolved; /* one an upstream, in order */

    const struct census *census; /* its pods; NULL: not known now, the status keeps what it says */

    struct digest made_from;      /* of what the credentials are made from now */
    bool creds_known;             /* they were made from just that before, */
    const json_t *creds_problems; /* and these {path, message} were found then; NULL: none */
    const struct render_sources *sources; /* NULL: not read yet, see need_sources */
};

/* An object of our name that this very GitGate does not own. Also one that an earlier GitGate of
 * the name left behind: the garbage collector takes it, and the watch tells. */
bool observed_collides(const struct observed *observed, enum owned which);

/* It is there, labelled, made from what has that digest, and nobody edited it since. */
bool observed_is_right(const struct observed *observed, enum owned which,
                       const struct digest *digest);

/* The status says that the condition of that type holds for the spec as it is. */
bool observed_held(const struct observed *observed, const char *type);

/* The credentials Secret is ours, nobody edited it, and it was made for the spec as it is: what is
 * in it stands for the sources that are named there, and for no others. */
bool observed_may_keep_creds(const struct observed *observed);

/* The gate's container runs what its hooks say, with the credentials: it has none where those hooks
 * are somebody else's. */
bool observed_withholds(const struct observed *observed);

/* The GitGate asks for it. */
bool observed_wants(const struct observed *observed, enum owned which);

#endif
