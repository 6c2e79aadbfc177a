/* An HTTP client of the API server on a libuv loop (libcurl's multi-socket interface, HTTP/1.1).
 *
 * Every request is asynchronous, has a time-out and a cap on its answer, and ends in exactly one
 * call of its `done`, never from within kube_request_start. 429, and 5xx with Retry-After, are
 * tried again as the server asked, as long as the request's time allows. */
#ifndef GITGATE_KUBE_CLIENT_H
#define GITGATE_KUBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "kube/config.h"

struct kube_client;
struct kube_request;

#define KUBE_TIMEOUT_MS 30000         /* as long as the API server's own for most requests */
#define KUBE_RESPONSE_MAX (4u << 20)  /* etcd stores no object larger than 1.5 MiB */
#define KUBE_RETRY_AFTER_MAX_MS 30000 /* what a server may make us wait at once */

/* https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches: an answer
 * without content is quick to read and holds no credential. */
#define KUBE_ACCEPT_METADATA "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

struct kube_response {
    int status;       /* HTTP; 0 when no answer came */
    char *body;       /* NUL-terminated, good for the call, may be changed; "" when streamed */
    size_t len;       /* of body */
    struct error err; /* .code 0 on 2xx; else what went wrong, from the Status object's message */
    char reason[64];  /* Status.reason ("NotFound", "Conflict", "Expired"), or "" */
    bool terminating; /* refused since the namespace is on its way out: nothing can be made there */
    uint64_t retry_after; /* milliseconds that the server asked for, or 0 */
};

typedef void (*kube_done_fn)(void *data, const struct kube_response *response);

/* A 2xx answer's bytes as they come; a negative errno ends the request with it. */
typedef int (*kube_stream_fn)(void *data, const char *bytes, size_t len, struct error *err);

struct kube_request_spec {
    const char *method; /* "GET", "PATCH", ... */
    const char *path;   /* encoded, see kube_path */
    const char *query;  /* encoded, without '?'; NULL: none */
    const char *accept; /* NULL: application/json */
    const char *content_type;
    const void *body; /* copied; the copy is wiped when the request ends */
    size_t body_len;
    size_t max_response;   /* 0: KUBE_RESPONSE_MAX */
    uint64_t timeout_ms;   /* 0: KUBE_TIMEOUT_MS */
    bool unguarded;        /* a write that is not asked of the client's guard */
    kube_stream_fn stream; /* NULL: the body is gathered and given to done */
    kube_done_fn done;
    void *data; /* for stream and done */
};

/* `config` is copied. */
int kube_client_new(uv_loop_t *loop, const struct kube_config *config, struct kube_client **ret,
                    struct error *err);

/* Drops all requests (no `done` is called). The client's handles close on the loop: it must run
 * once more after this. Not from a `done` or a stream callback. NULL is fine. */
void kube_client_free(struct kube_client *client);

/* Asked before each write is sent, and before it is sent again: the milliseconds within which it
 * must have ended, or 0, then it fails with -EPERM. Without a guard all may be written. */
void kube_client_guard(struct kube_client *client, uint64_t (*time_to_write)(void *data),
                       void *data);

/* Told of each answer, also of those that are tried again; 0 when none came. */
void kube_client_observe(struct kube_client *client,
                         void (*answered)(void *data, const char *method, int status), void *data);

uv_loop_t *kube_client_loop(const struct kube_client *client);

/* The config's. */
const char *kube_client_namespace(const struct kube_client *client);

/* Starts a request. NULL (with `err`) only when memory is short or the spec can't be sent. The
 * handle is for kube_request_cancel alone and ends with `done`. */
struct kube_request *kube_request_start(struct kube_client *client,
                                        const struct kube_request_spec *spec, struct error *err);

/* Ends the request without calling `done`. NULL is fine. Not from its own stream callback. */
void kube_request_cancel(struct kube_request *request);

#endif
