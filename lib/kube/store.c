#include "kube/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv/tree.h>

/* libuv's own red-black tree: ordered, so that one namespace is one range. */
struct entry {
    RB_ENTRY(entry) link;
    void *value;
    bool marked;
    const char *name; /* within key */
    char key[];       /* "<namespace>/<name>" with a NUL for the slash */
};

RB_HEAD(entries, entry);

struct kube_store {
    struct entries entries;
    size_t size;
    void (*release)(void *value);
};

/* Namespace first; a NULL name comes before every other. */
static int compare_keys(const char *ns_a, const char *name_a, const char *ns_b, const char *name_b)
{
    int by_namespace = strcmp(ns_a, ns_b);

    return by_namespace ? by_namespace : strcmp(name_a, name_b);
}

static int compare(struct entry *a, struct entry *b)
{
    return compare_keys(a->key, a->name, b->key, b->name);
}

RB_GENERATE_STATIC(entries, entry, link, compare)

struct kube_store *kube_store_new(void (*release)(void *value))
{
    struct kube_store *store = calloc(1, sizeof *store);

    if (!store)
        return NULL;
    RB_INIT(&store->entries);
    store->release = release;
    return store;
}

static void drop(struct kube_store *store, struct entry *entry)
{
    RB_REMOVE(entries, &store->entries, entry);
    store->size--;
    store->release(entry->value);
    free(entry);
}

void kube_store_free(struct kube_store *store)
{
    struct entry *entry;

    if (!store)
        return;
    while ((entry = RB_ROOT(&store->entries)))
        drop(store, entry);
    free(store);
}

static struct entry *find(const struct kube_store *store, const char *ns, const char *name)
{
    struct entry *entry = RB_ROOT(&store->entries);

    while (entry) {
        int order = compare_keys(ns, name, entry->key, entry->name);

        if (order == 0)
            return entry;
        entry = order < 0 ? RB_LEFT(entry, link) : RB_RIGHT(entry, link);
    }
    return NULL;
}

void *kube_store_get(const struct kube_store *store, const char *namespace_, const char *name)
{
    struct entry *entry = find(store, namespace_, name);

    return entry ? entry->value : NULL;
}

static struct entry *entry_new(const char *ns, const char *name, void *value)
{
    size_t ns_size = strlen(ns) + 1, name_size = strlen(name) + 1;
    struct entry *entry = malloc(sizeof *entry + ns_size + name_size);

    if (!entry)
        return NULL;
    entry->value = value;
    entry->marked = false;
    memcpy(entry->key, ns, ns_size);
    memcpy(entry->key + ns_size, name, name_size);
    entry->name = entry->key + ns_size;
    return entry;
}

int kube_store_put(struct kube_store *store, const char *namespace_, const char *name, void *value)
{
    struct entry *entry = find(store, namespace_, name);

    if (entry) {
        store->release(entry->value);
        entry->value = value;
        entry->marked = false;
        return 1;
    }
    entry = entry_new(namespace_, name, value);
    if (!entry) {
        store->release(value);
        return -ENOMEM;
    }
    RB_INSERT(entries, &store->entries, entry);
    store->size++;
    return 0;
}

bool kube_store_remove(struct kube_store *store, const char *namespace_, const char *name)
{
    struct entry *entry = find(store, namespace_, name);

    if (!entry)
        return false;
    drop(store, entry);
    return true;
}

size_t kube_store_size(const struct kube_store *store)
{
    return store->size;
}

static struct entry *first_of(const struct kube_store *store, const char *ns)
{
    struct entry *entry = RB_ROOT(&store->entries), *first = NULL;

    while (entry) {
        if (strcmp(entry->key, ns) < 0) {
            entry = RB_RIGHT(entry, link);
        } else {
            first = entry;
            entry = RB_LEFT(entry, link);
        }
    }
    return first;
}

void kube_store_each(const struct kube_store *store, const char *namespace_,
                     bool (*each)(void *data, const char *ns, const char *name, void *value),
                     void *data)
{
    struct entry *entry = first_of(store, namespace_ ? namespace_ : "");

    for (; entry; entry = entries_RB_NEXT(entry)) {
        if (namespace_ && strcmp(entry->key, namespace_) != 0)
            return;
        if (!each(data, entry->key, entry->name, entry->value))
            return;
    }
}

void kube_store_mark(struct kube_store *store)
{
    struct entry *entry;

    RB_FOREACH(entry, entries, &store->entries)
        entry->marked = true;
}

void kube_store_sweep(struct kube_store *store,
                      void (*gone)(void *data, const char *ns, const char *name, void *value),
                      void *data)
{
    struct entry *entry = RB_MIN(entries, &store->entries), *next;

    for (; entry; entry = next) {
        next = entries_RB_NEXT(entry);
        if (!entry->marked)
            continue;
        if (gone)
            gone(data, entry->key, entry->name, entry->value);
        drop(store, entry);
    }
}
