/* An informer: lists one resource (as a stream where the server does that, else in pages), watches
 * it from there, and keeps a store of it that stays right
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
 *
 * A watch that ends, hangs, is cut or fails resumes from the last resourceVersion, with jittered
 * backoff; 410 Gone and what can't be understood lead to a new list, whose difference to the store
 * is told as changes (what is in both is told as modified: it may be).
 *
 * One object that can't be read (its text is too long, or no strict reader takes it) fails nothing:
 * whoever may write one would stop all. It is kept as one of which namespace, name, uid and
 * resourceVersion are known and nothing else, in the place of what was known of it before: so of a
 * GitGate no earlier spec is enforced on, and an object that a GitGate owned is nobody's. */
#ifndef GITGATE_KUBE_WATCH_H
#define GITGATE_KUBE_WATCH_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/log.h"
#include "data/document.h"
#include "kube/client.h"
#include "kube/resource.h"
#include "kube/store.h"

enum kube_change { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED };

struct kube_watch_spec {
    const struct kube_resource *resource;
    const char *namespace_;     /* NULL: all namespaces (and for cluster-scoped resources) */
    const char *label_selector; /* NULL: none */
    const char
        *field_selector; /* NULL: none; "metadata.name=x" is what RBAC's resourceNames allow */
    bool metadata_only;  /* PartialObjectMetadata: no spec, data or status crosses the wire */

    /* What the store keeps of an object: adds the bytes of a value to `kept`. `object` is good for
     * the call, and may be one of which only its metadata's four fields are known. 0, -ENOMEM, or
     * -EBADMSG for what can't be kept in any form, which counts as gone. Without it only is kept
     * that the object is there. `release`: see kube_store_new. */
    int (*keep)(const struct node *object, struct buf *kept);
    void (*release)(void *kept);

    /* What all values of one namespace may weigh, and what one does, about in bytes: whoever writes
     * objects in one namespace must not fill the memory that serves all. One that would be too much
     * is kept as one that can't be read, until it changes when there is room. NULL: no bound. */
    size_t (*weight)(const void *kept);
    size_t namespace_max;

    /* After the store changed (on KUBE_DELETED: just before the value is released). May be NULL. */
    void (*changed)(void *data, enum kube_change change, const char *namespace_, const char *name,
                    void *kept);
    /* Just before a kept value makes room for a newer one of the same object. May be NULL. */
    void (*replaced)(void *data, const char *namespace_, const char *name, const void *kept);
    void (*synced)(void *data); /* once: the first list is in the store */
    /* An object came that can't be read: each time. May be NULL. */
    void (*unreadable)(void *data, const struct kube_resource *resource);
    void *data;
};

struct kube_watch;

/* Starts at once; strings of `spec` are borrowed for the watch's life. `log` may be NULL. */
int kube_watch_start(struct kube_client *client, const struct kube_watch_spec *spec,
                     const struct log *log, struct kube_watch **ret, struct error *err);

/* Ends it and frees its store. Its timer closes on the loop: it must run once more. NULL is fine.
 * Call it before kube_client_free, and not from one of its own callbacks. */
void kube_watch_stop(struct kube_watch *watch);

/* What the caller's own write led to goes into the store (as kube_store_put; `kept` NULL: it is
 * gone) before the watch tells it, unless a change of that object was told since the write began:
 * that is the caller's to know. Nothing is told of it. */
int kube_watch_wrote(struct kube_watch *watch, const char *namespace_, const char *name,
                     const void *kept, size_t size);

/* Why the object can't be read; NULL when it can. */
const char *kube_watch_unreadable(const struct kube_watch *watch, const char *namespace_,
                                  const char *name);

const struct kube_store *kube_watch_store(const struct kube_watch *watch);
bool kube_watch_synced(const struct kube_watch *watch);

#endif
