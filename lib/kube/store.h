/* Values by namespace and name, in order of the keys: what a watch knows, and whatever else is
 * found by a name. A value is a run of bytes that lies in the store, in one allocation with its
 * key: there are tens of thousands. */
#ifndef GITGATE_KUBE_STORE_H
#define GITGATE_KUBE_STORE_H

#include <stdbool.h>
#include <stddef.h>

struct kube_store;

/* `release` ends a value that is replaced or removed: what it owns, not itself; NULL when values
 * own nothing. NULL when memory is short. */
struct kube_store *kube_store_new(void (*release)(void *value));
void kube_store_free(struct kube_store *store); /* NULL is fine */

/* The value, or NULL. `namespace_` is "" for cluster-scoped objects. Valid, and in its place, until
 * it is replaced or removed. */
void *kube_store_get(const struct kube_store *store, const char *namespace_, const char *name);

/* Takes a copy of value[0..size), with all that the value owns; an earlier one of that key is
 * released. Aligned for pointers. NULL when memory is short: then `value` is released, and the
 * earlier one stays. */
void *kube_store_put(struct kube_store *store, const char *namespace_, const char *name,
                     const void *value, size_t size);

/* Found, or made: `size` bytes of zero. NULL when memory is short. */
void *kube_store_make(struct kube_store *store, const char *namespace_, const char *name,
                      size_t size);

/* The key under which a value lies in a store. */
const char *kube_store_namespace_of(const void *value);
const char *kube_store_name_of(const void *value);

/* false when there was none. Both strings may be the value's own key. */
bool kube_store_remove(struct kube_store *store, const char *namespace_, const char *name);

size_t kube_store_size(const struct kube_store *store);

/* Calls `each` for every value (of one namespace; NULL: of all) until it returns false. The store
 * must not change meanwhile. */
void kube_store_each(const struct kube_store *store, const char *namespace_,
                     bool (*each)(void *data, const char *ns, const char *name, void *value),
                     void *data);

/* Mark and sweep, for a list that replaces what is known: marks all, put unmarks, and sweep removes
 * what is still marked after having told `gone`. */
void kube_store_mark(struct kube_store *store);
void kube_store_sweep(struct kube_store *store,
                      void (*gone)(void *data, const char *ns, const char *name, void *value),
                      void *data);

#endif
