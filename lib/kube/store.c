#include "kube/store.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv/tree.h>

/* libuv's own red-black tree: ordered, so that one namespace is one range. */
struct entry {
    RB_ENTRY(entry) link;
    uint32_t size; /* of the value */
    uint32_t ns_len : 31, marked : 1;
    _Alignas(void *) unsigned char value[]; /* and behind it "<namespace>\0<name>\0" */
};

RB_HEAD(entries, entry);

struct kube_store {
    struct entries entries;
    size_t size;
    void (*release)(void *value);
};

static const struct entry *entry_of(const void *value)
{
    return (const void *)((const char *)value - offsetof(struct entry, value));
}

static const char *ns_of(const struct entry *entry)
{
    return (const char *)entry->value + entry->size;
}

static const char *name_of(const struct entry *entry)
{
    return ns_of(entry) + entry->ns_len + 1;
}

/* Namespace first. */
static int compare_key(const char *ns, const char *name, const struct entry *entry)
{
    int by_namespace = strcmp(ns, ns_of(entry));

    return by_namespace ? by_namespace : strcmp(name, name_of(entry));
}

static int compare(struct entry *a, struct entry *b)
{
    return compare_key(ns_of(a), name_of(a), b);
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

static void release(const struct kube_store *store, void *value)
{
    if (store->release)
        store->release(value);
}

static void drop(struct kube_store *store, struct entry *entry)
{
    RB_REMOVE(entries, &store->entries, entry);
    store->size--;
    release(store, entry->value);
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
        int order = compare_key(ns, name, entry);

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

static struct entry *entry_new(const char *ns, const char *name, const void *value, size_t size)
{
    size_t ns_len = strlen(ns), name_size = strlen(name) + 1;
    struct entry *entry = NULL;

    if (size <= UINT32_MAX && ns_len <= INT32_MAX)
        entry = calloc(1, sizeof *entry + size + ns_len + 1 + name_size);
    if (!entry)
        return NULL;
    entry->size = (uint32_t)size;
    entry->ns_len = (uint32_t)ns_len & INT32_MAX;
    if (size && value)
        memcpy(entry->value, value, size);
    memcpy((char *)ns_of(entry), ns, ns_len + 1);
    memcpy((char *)name_of(entry), name, name_size);
    return entry;
}

static void insert(struct kube_store *store, struct entry *entry)
{
    RB_INSERT(entries, &store->entries, entry);
    store->size++;
}

/* Most values have one size: then nothing is moved. */
static bool replace(struct kube_store *store, struct entry *entry, const void *value, size_t size)
{
    if (!entry || entry->size != size)
        return false;
    release(store, entry->value);
    if (size)
        memcpy(entry->value, value, size);
    entry->marked = 0;
    return true;
}

void *kube_store_put(struct kube_store *store, const char *namespace_, const char *name,
                     const void *value, size_t size)
{
    struct entry *earlier = find(store, namespace_, name), *entry;

    if (replace(store, earlier, value, size))
        return earlier->value;
    entry = entry_new(namespace_, name, value, size);
    if (!entry) {
        release(store, (void *)value);
        return NULL;
    }
    if (earlier)
        drop(store, earlier);
    insert(store, entry);
    return entry->value;
}

void *kube_store_make(struct kube_store *store, const char *namespace_, const char *name,
                      size_t size)
{
    struct entry *entry = find(store, namespace_, name);

    if (entry)
        return entry->value;
    entry = entry_new(namespace_, name, NULL, size);
    if (!entry)
        return NULL;
    insert(store, entry);
    return entry->value;
}

const char *kube_store_namespace_of(const void *value)
{
    return ns_of(entry_of(value));
}

const char *kube_store_name_of(const void *value)
{
    return name_of(entry_of(value));
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
        if (strcmp(ns_of(entry), ns) < 0) {
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
        if (namespace_ && strcmp(ns_of(entry), namespace_) != 0)
            return;
        if (!each(data, ns_of(entry), name_of(entry), entry->value))
            return;
    }
}

void kube_store_mark(struct kube_store *store)
{
    struct entry *entry;

    RB_FOREACH(entry, entries, &store->entries)
        entry->marked = 1;
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
            gone(data, ns_of(entry), name_of(entry), entry->value);
        drop(store, entry);
    }
}
