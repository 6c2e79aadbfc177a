#include "kube/apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 2048
#define OBJECT_MAX (4u << 20) /* etcd takes 1.5 MiB */

/* JSON is YAML: nothing is translated. */
#define CONTENT_APPLY "application/apply-patch+yaml"

static int append(const char *bytes, size_t len, void *to)
{
    buf_add(to, bytes, len);
    return buf_error(to) ? -1 : 0;
}

static const char *metadata_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), key));
}

static struct kube_request *patch(struct kube_client *client, const struct kube_resource *resource,
                                  const json_t *object, const char *subresource, kube_done_fn done,
                                  void *data, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES), query = BUF_INIT(PATH_MAX_BYTES);
    const char *name = metadata_of(object, "name");
    struct buf body = BUF_INIT(OBJECT_MAX);
    struct kube_request *request = NULL;
    struct kube_request_spec spec = {
        .method = "PATCH", .content_type = CONTENT_APPLY, .done = done, .data = data};

    if (!name) {
        error_set(err, -EINVAL, "a %s without a name can't be applied", resource->kind);
        return NULL;
    }
    kube_path(resource, metadata_of(object, "namespace"), name, subresource, &path);
    kube_query(&query, "fieldManager", KUBE_FIELD_MANAGER);
    kube_query(&query, "force", "true");
    if (json_dump_callback(object, append, &body, JSON_COMPACT) < 0) {
        error_set(err, -E2BIG, "%s %s is too large, or memory is short", resource->kind, name);
    } else {
        spec.path = path.data;
        spec.query = query.data;
        spec.body = body.data;
        spec.body_len = body.len;
        request = kube_request_start(client, &spec, err);
    }
    buf_wipe(&body); /* a Secret's, maybe */
    return request;
}

struct kube_request *kube_apply(struct kube_client *client, const struct kube_resource *resource,
                                const json_t *object, kube_done_fn done, void *data,
                                struct error *err)
{
    return patch(client, resource, object, NULL, done, data, err);
}

struct kube_request *kube_apply_status(struct kube_client *client,
                                       const struct kube_resource *resource, const json_t *object,
                                       kube_done_fn done, void *data, struct error *err)
{
    return patch(client, resource, object, "status", done, data, err);
}

struct kube_request *kube_delete(struct kube_client *client, const struct kube_resource *resource,
                                 const char *namespace_, const char *name, const char *uid,
                                 kube_done_fn done, void *data, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES), body = BUF_INIT(PATH_MAX_BYTES);
    json_auto_t *options = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind",
                                     "DeleteOptions", "preconditions", "uid", uid);
    struct kube_request_spec spec = {
        .method = "DELETE", .content_type = "application/json", .done = done, .data = data};

    kube_path(resource, namespace_, name, NULL, &path);
    if (!options || json_dump_callback(options, append, &body, JSON_COMPACT) < 0) {
        error_set(err, -ENOMEM, "memory is short");
        return NULL;
    }
    spec.path = path.data;
    spec.body = body.data;
    spec.body_len = body.len;
    return kube_request_start(client, &spec, err);
}

struct kube_request *kube_get(struct kube_client *client, const struct kube_resource *resource,
                              const char *namespace_, const char *name, kube_done_fn done,
                              void *data, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct kube_request_spec spec = {.method = "GET", .done = done, .data = data};

    kube_path(resource, namespace_, name, NULL, &path);
    spec.path = path.data;
    return kube_request_start(client, &spec, err);
}
