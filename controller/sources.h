/* The objects that a GitGate refers to: which they are, and the digest of their versions. */
#ifndef GITGATE_CONTROLLER_SOURCES_H
#define GITGATE_CONTROLLER_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/gitgate.h"
#include "digest.h"
#include "ids.h"
#include "kube/resource.h"

/* One Secret and one ConfigMap an upstream. */
#define SOURCES_MAX (2 * GITGATE_UPSTREAMS_MAX + 1)

struct source {
    const struct kube_resource *resource; /* kube_secrets or kube_config_maps */
    const char *name;                     /* borrowed from the gate */
    bool there;
    struct uid uid; /* these two only when it is */
    uint64_t version;
};

struct sources {
    struct source list[SOURCES_MAX];
    size_t n;
};

/* Each object once. Whether they are there is not known yet. */
void sources_of(const struct gitgate *gate, struct sources *ret);

/* What the credentials Secret is made from: the gate's spec and the versions of its sources. The
 * same digest, the same Secret: so nothing has to be read to know that nothing is to be done. */
struct digest sources_digest(const struct gitgate *gate, const struct sources *sources);

#endif
