/* Resources by name, and their place in the API server's URL space. */
#ifndef GITGATE_KUBE_RESOURCE_H
#define GITGATE_KUBE_RESOURCE_H

#include "base/buf.h"

struct kube_resource {
    const char *group; /* "" for the core group */
    const char *version;
    const char *plural;
    const char *kind;
};

extern const struct kube_resource kube_gitgates;
extern const struct kube_resource kube_config_maps;
extern const struct kube_resource kube_secrets;
extern const struct kube_resource kube_namespaces;
extern const struct kube_resource kube_network_policies;
extern const struct kube_resource kube_pods;
extern const struct kube_resource kube_leases;
extern const struct kube_resource kube_events;

/* "/apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>/<subresource>", each part
 * percent-encoded. Namespace (cluster-scoped, or all of them), name (the collection) and
 * subresource may be NULL. */
void kube_path(const struct kube_resource *resource, const char *namespace_, const char *name,
               const char *subresource, struct buf *to);

/* Adds "<key>=<encoded value>" to a query string, with '&' before it when it is not the first. */
void kube_query(struct buf *query, const char *key, const char *value);

#endif
