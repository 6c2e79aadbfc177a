/* Writing: server-side apply (https://kubernetes.io/docs/reference/using-api/server-side-apply/),
 * always with force: what gitgate renders is right by definition, and others' fields stay theirs.
 */
#ifndef GITGATE_KUBE_APPLY_H
#define GITGATE_KUBE_APPLY_H

#include <jansson.h>

#include "kube/client.h"
#include "kube/resource.h"

#define KUBE_FIELD_MANAGER "gitgate-controller"

/* Names in `object`'s metadata say which. `done` gets the object as it is after. */
struct kube_request *kube_apply(struct kube_client *client, const struct kube_resource *resource,
                                const json_t *object, kube_done_fn done, void *data,
                                struct error *err);

/* The same for the status subresource: `object` has apiVersion, kind, metadata.name and .namespace
 * and the whole status. */
struct kube_request *kube_apply_status(struct kube_client *client,
                                       const struct kube_resource *resource, const json_t *object,
                                       kube_done_fn done, void *data, struct error *err);

/* Deletes the object if it still has this uid. One that isn't there answers -ENOENT: to most
 * callers that is success. */
struct kube_request *kube_delete(struct kube_client *client, const struct kube_resource *resource,
                                 const char *namespace_, const char *name, const char *uid,
                                 kube_done_fn done, void *data, struct error *err);

struct kube_request *kube_get(struct kube_client *client, const struct kube_resource *resource,
                              const char *namespace_, const char *name, kube_done_fn done,
                              void *data, struct error *err);

#endif
