#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/json_write.h"
#include "kube/object.h"
#include "kube/watch_parts.h"

#define VALUE_MAX KUBE_LINE_MAX /* what is kept of an object is no more than it */
#define NO_ROOM                                                                                    \
    "the %s of its namespace take more than the %zu MiB that they may have in memory: delete "     \
    "some; this one is read when it changes, or within ten minutes"

/* ---- A namespace's share ------------------------------------------------------------------ */

struct share {
    size_t weight;
    bool lacks; /* since the last list one had no room; the log has named it */
};

static size_t weight_of(const struct kube_watch *watch, const void *kept)
{
    return kept && watch->spec.weight ? watch->spec.weight(kept) : 0;
}

static bool has_room(struct kube_watch *watch, const struct object_key *key, const void *value)
{
    struct share *share = kube_store_get(watch->shares, "", key->ns);
    const void *earlier = kube_store_get(watch->store, key->ns, key->name);
    size_t its = weight_of(watch, earlier);
    size_t others = share && share->weight > its ? share->weight - its : 0;

    return !watch->spec.weight || others + weight_of(watch, value) <= watch->spec.namespace_max;
}

static void take(struct kube_watch *watch, const char *ns, const void *kept)
{
    size_t weight = weight_of(watch, kept);
    struct share *share = weight ? kube_store_make(watch->shares, "", ns, sizeof *share) : NULL;

    if (share)
        share->weight += weight;
}

static void give_back(struct kube_watch *watch, const char *ns, const void *kept)
{
    size_t weight = weight_of(watch, kept);
    struct share *share = weight ? kube_store_get(watch->shares, "", ns) : NULL;

    if (!share)
        return;
    share->weight -= weight < share->weight ? weight : share->weight;
    if (!share->weight)
        kube_store_remove(watch->shares, "", ns);
}

/* Of one that leaves; perhaps others have room now. */
static void leave(struct kube_watch *watch, const char *ns, const void *kept)
{
    const struct share *share = kube_store_get(watch->shares, "", ns);

    if (share && share->lacks)
        watch->room = true;
    give_back(watch, ns, kept);
}

/* Who fills a namespace doesn't fill the log too: true when another had none before. */
static bool note_lack(struct kube_watch *watch, const char *ns)
{
    struct share *share = kube_store_get(watch->shares, "", ns);
    bool lacks = share && share->lacks;

    if (share)
        share->lacks = true;
    return lacks;
}

static bool forget_lack(void *data, const char *ns, const char *name, void *share)
{
    (void)data;
    (void)ns;
    (void)name;
    ((struct share *)share)->lacks = false;
    return true;
}

/* ---- Objects into the store --------------------------------------------------------------- */

static void tell(const struct kube_watch *watch, enum kube_change change, const char *ns,
                 const char *name, void *kept)
{
    if (watch->spec.changed)
        watch->spec.changed(watch->spec.data, change, ns, name, kept);
}

static void tell_replaced(const struct kube_watch *watch, const struct object_key *key)
{
    const void *kept =
        watch->spec.replaced ? kube_store_get(watch->store, key->ns, key->name) : NULL;

    if (kept)
        watch->spec.replaced(watch->spec.data, key->ns, key->name, kept);
}

/* Said once, until it can be read again; counted each time. */
static void note_unreadable(struct kube_watch *watch, const struct object_key *key, const char *why)
{
    bool told = watch->no_room && note_lack(watch, key->ns);

    if (watch->spec.unreadable)
        watch->spec.unreadable(watch->spec.data, watch->spec.resource);
    if (!told && !kube_store_get(watch->unreadable, key->ns, key->name))
        log_warn(watch->log, "an object can't be read, it counts as one of which nothing is known",
                 json_pack("{s:s, s:s, s:s, s:s}", "resource", watch->spec.resource->plural,
                           "namespace", key->ns, "name", key->name, "error", why));
    kube_store_put(watch->unreadable, key->ns, key->name, why, strlen(why) + 1);
}

void watch_take_out(struct kube_watch *watch, const struct object_key *key)
{
    void *kept = kube_store_get(watch->store, key->ns, key->name);

    kube_store_remove(watch->unreadable, key->ns, key->name);
    if (!kept)
        return;
    tell(watch, KUBE_DELETED, key->ns, key->name, kept);
    leave(watch, key->ns, kept);
    kube_store_remove(watch->store, key->ns, key->name);
}

static int put_kept(struct kube_watch *watch, const struct object_key *key, const struct buf *value,
                    struct error *err)
{
    const void *earlier = kube_store_get(watch->store, key->ns, key->name);
    bool there = earlier;
    void *kept;

    tell_replaced(watch, key);
    give_back(watch, key->ns, earlier);
    kept = kube_store_put(watch->store, key->ns, key->name, value->data, value->len);
    if (!kept)
        return error_set(err, -ENOMEM, "memory is short");
    take(watch, key->ns, kept);
    tell(watch, there ? KUBE_MODIFIED : KUBE_ADDED, key->ns, key->name, kept);
    return 0;
}

static void write_identity(struct buf *to, const struct node *metadata)
{
    static const char *const keys[] = {"name", "resourceVersion", "namespace", "uid", "generation"};

    buf_adds(to, "{\"metadata\":{");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct node *value = node_get(metadata, keys[i]);

        if (!value)
            continue;
        json_write_key(to, keys[i], strlen(keys[i]));
        node_write(to, value);
    }
    buf_adds(to, "}}");
}

/* As one that can't be read. */
static int put_without_room(struct kube_watch *watch, const struct node *object, struct error *err)
{
    cleanup_document struct document document = DOCUMENT_INIT;
    cleanup_buf struct buf known = BUF_INIT(KNOWN_MAX);
    char why[sizeof NO_ROOM + 64];
    int r;

    write_identity(&known, node_get(object, "metadata"));
    if (document_parse(known.data, known.len, &document, NULL) < 0)
        return error_set(err, -ENOMEM, "memory is short");
    snprintf(why, sizeof why, NO_ROOM, watch->spec.resource->plural,
             watch->spec.namespace_max >> 20);
    watch->why = why;
    watch->no_room = true;
    r = watch_put(watch, document_root(&document), err);
    watch->no_room = false;
    watch->why = NULL;
    return r;
}

int watch_put(struct kube_watch *watch, const struct node *object, struct error *err)
{
    cleanup_buf struct buf value = BUF_INIT(VALUE_MAX);
    struct object_key key;
    int r = object_key_of(object, &key, err);

    if (r < 0)
        return r;
    r = watch->spec.keep ? watch->spec.keep(object, &value) : 0;
    if (r == -EBADMSG) {
        watch_take_out(watch, &key);
        note_unreadable(watch, &key, watch->why ? watch->why : "it can't be kept");
        return 0;
    }
    if (r < 0)
        return error_set(err, r, "memory is short");
    if (!watch->why && !has_room(watch, &key, value.data)) {
        if (watch->spec.release)
            watch->spec.release(value.data);
        return put_without_room(watch, object, err);
    }
    if (watch->why)
        note_unreadable(watch, &key, watch->why);
    else
        kube_store_remove(watch->unreadable, key.ns, key.name);
    return put_kept(watch, &key, &value, err);
}

int watch_put_unreadable(struct kube_watch *watch, struct json_span object, const char *why,
                         struct error *err)
{
    cleanup_document struct document document = DOCUMENT_INIT;
    cleanup_buf struct buf known = BUF_INIT(KNOWN_MAX);
    int r;

    object_write_known(&known, object);
    if (document_parse(known.data, known.len, &document, NULL) < 0)
        return error_set(err, -EBADMSG, "the API server sent what can't be read: %s", why);
    watch->why = why;
    r = watch_put(watch, document_root(&document), err);
    watch->why = NULL;
    return r;
}

static void tell_gone(void *data, const char *ns, const char *name, void *kept)
{
    struct kube_watch *watch = data;

    kube_store_remove(watch->unreadable, ns, name);
    tell(watch, KUBE_DELETED, ns, name, kept);
    leave(watch, ns, kept);
}

void watch_mark(struct kube_watch *watch)
{
    watch->room = false;
    kube_store_each(watch->shares, NULL, forget_lack, NULL);
    kube_store_mark(watch->store);
}

void watch_sweep(struct kube_watch *watch)
{
    kube_store_sweep(watch->store, tell_gone, watch);
}
