/* Writing: server-side apply (https://kubernetes.io/docs/reference/using-api/server-side-apply/),
 * always with force: what gitgate renders is right by definition, and others' fields stay theirs.
 */
#ifndef GITGATE_KUBE_APPLY_H
#define GITGATE_KUBE_APPLY_H

#include <jansson.h>

#include "kube/client.h"
#include "kube/resource.h"

#define KUBE_FIELD_MANAGER "gitgate-controller"

/* Names in `object`'s metadata say which. `done` gets the object's metadata as it is after. */
struct kube_request *kube_apply(struct kube_client *client, const struct kube_resource *resource,
                                const json_t *object, kube_done_fn done, void *data,
                                struct error *err);

/* The same for the status subresource. `text` is a JSON object with apiVersion, kind,
 * metadata.name and .namespace and the whole status. */
struct kube_request *kube_apply_status(struct kube_client *client,
                                       const struct kube_resource *resource, const char *namespace_,
                                       const char *name, const char *text, kube_done_fn done,
                                       void *data, struct error *err);

/* Deletes the object if it still has this uid. One that isn't there answers -ENOENT: to most
 * callers that is success. */
struct kube_request *kube_delete(struct kube_client *client, const struct kube_resource *resource,
                                 const char *namespace_, const char *name, const char *uid,
                                 kube_done_fn done, void *data, struct error *err);

/* RFC 6902 operations. */
struct kube_request *kube_json_patch(struct kube_client *client,
                                     const struct kube_resource *resource, const char *namespace_,
                                     const char *name, const json_t *operations, kube_done_fn done,
                                     void *data, struct error *err);

/* The whole object: a new one, or in place of the one whose metadata.resourceVersion it has. Of
 * `how`, what is accepted, the time-out, the guard, done and data count (here and in kube_get). */
struct kube_request *kube_create(struct kube_client *client, const struct kube_resource *resource,
                                 const json_t *object, const struct kube_request_spec *how,
                                 struct error *err);
struct kube_request *kube_replace(struct kube_client *client, const struct kube_resource *resource,
                                  const json_t *object, const struct kube_request_spec *how,
                                  struct error *err);

struct kube_request *kube_get(struct kube_client *client, const struct kube_resource *resource,
                              const char *namespace_, const char *name,
                              const struct kube_request_spec *how, struct error *err);

#endif
