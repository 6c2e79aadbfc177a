#include "kube/apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/json_write.h"

#define PATH_MAX_BYTES 2048
#define OBJECT_MAX (4u << 20) /* etcd takes 1.5 MiB */
#define OBJECT_AT_FIRST 8192  /* most: the text is not moved as it grows */

/* JSON is YAML: nothing is translated. */
#define CONTENT_APPLY "application/apply-patch+yaml"

static const char *metadata_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), key));
}

/* The rest of `spec` is the caller's: method, content type, what to do with the answer. */
static struct kube_request *send_text(struct kube_client *client, const char *text, size_t len,
                                      const char *path, struct kube_request_spec *spec,
                                      struct error *err)
{
    cleanup_buf struct buf query = BUF_INIT(PATH_MAX_BYTES);

    kube_query(&query, "fieldManager", KUBE_FIELD_MANAGER);
    if (strcmp(spec->content_type, CONTENT_APPLY) == 0)
        kube_query(&query, "force", "true");
    spec->path = path;
    spec->query = query.data;
    spec->body = text;
    spec->body_len = len;
    return kube_request_start(client, spec, err);
}

static struct kube_request *send_object(struct kube_client *client,
                                        const struct kube_resource *resource, const json_t *object,
                                        const char *path, struct kube_request_spec *spec,
                                        struct error *err)
{
    struct buf body = BUF_INIT(OBJECT_MAX);
    struct kube_request *request = NULL;

    buf_reserve(&body, OBJECT_AT_FIRST);
    json_write(&body, object);
    if (buf_error(&body))
        error_set(err, -E2BIG, "a %s is too large, or memory is short", resource->kind);
    else
        request = send_text(client, body.data, body.len, path, spec, err);
    buf_wipe(&body); /* a Secret's, maybe */
    return request;
}

static struct kube_request_spec apply_spec(kube_done_fn done, void *data)
{
    return (struct kube_request_spec){.method = "PATCH",
                                      .accept = KUBE_ACCEPT_METADATA,
                                      .content_type = CONTENT_APPLY,
                                      .done = done,
                                      .data = data};
}

struct kube_request *kube_apply(struct kube_client *client, const struct kube_resource *resource,
                                const json_t *object, kube_done_fn done, void *data,
                                struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct kube_request_spec spec = apply_spec(done, data);

    kube_path(resource, metadata_of(object, "namespace"), metadata_of(object, "name"), NULL, &path);
    return send_object(client, resource, object, path.data, &spec, err);
}

struct kube_request *kube_apply_status(struct kube_client *client,
                                       const struct kube_resource *resource, const char *namespace_,
                                       const char *name, const char *text, kube_done_fn done,
                                       void *data, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct kube_request_spec spec = apply_spec(done, data);

    kube_path(resource, namespace_, name, "status", &path);
    return send_text(client, text, strlen(text), path.data, &spec, err);
}

struct kube_request *kube_json_patch(struct kube_client *client,
                                     const struct kube_resource *resource, const char *namespace_,
                                     const char *name, const json_t *operations, kube_done_fn done,
                                     void *data, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct kube_request_spec spec = {.method = "PATCH",
                                     .accept = KUBE_ACCEPT_METADATA,
                                     .content_type = "application/json-patch+json",
                                     .done = done,
                                     .data = data};

    kube_path(resource, namespace_, name, NULL, &path);
    return send_object(client, resource, operations, path.data, &spec, err);
}

static struct kube_request *write_whole(struct kube_client *client, const char *method,
                                        const struct kube_resource *resource, const json_t *object,
                                        const struct kube_request_spec *how, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct kube_request_spec spec = *how;

    spec.method = method;
    spec.content_type = "application/json";
    kube_path(resource, metadata_of(object, "namespace"),
              strcmp(method, "PUT") == 0 ? metadata_of(object, "name") : NULL, NULL, &path);
    return send_object(client, resource, object, path.data, &spec, err);
}

struct kube_request *kube_create(struct kube_client *client, const struct kube_resource *resource,
                                 const json_t *object, const struct kube_request_spec *how,
                                 struct error *err)
{
    return write_whole(client, "POST", resource, object, how, err);
}

struct kube_request *kube_replace(struct kube_client *client, const struct kube_resource *resource,
                                  const json_t *object, const struct kube_request_spec *how,
                                  struct error *err)
{
    return write_whole(client, "PUT", resource, object, how, err);
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
    json_write(&body, options);
    if (buf_error(&body)) {
        error_set(err, -ENOMEM, "memory is short");
        return NULL;
    }
    spec.path = path.data;
    spec.body = body.data;
    spec.body_len = body.len;
    return kube_request_start(client, &spec, err);
}

struct kube_request *kube_get(struct kube_client *client, const struct kube_resource *resource,
                              const char *namespace_, const char *name,
                              const struct kube_request_spec *how, struct error *err)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
    struct kube_request_spec spec = *how;

    spec.method = "GET";
    kube_path(resource, namespace_, name, NULL, &path);
    spec.path = path.data;
    return kube_request_start(client, &spec, err);
}
