/* What a watch knows: namespace and name to a kept value, in order of the keys. */
#ifndef GITGATE_KUBE_STORE_H
#define GITGATE_KUBE_STORE_H

#include <stdbool.h>
#include <stddef.h>

struct kube_store;

/* `release` frees a value when it is replaced or removed. NULL when memory is short. */
struct kube_store *kube_store_new(void (*release)(void *value));
void kube_store_free(struct kube_store *store); /* NULL is fine */

/* The value, or NULL. `namespace_` is "" for cluster-scoped objects. Valid until the next change.
 */
void *kube_store_get(const struct kube_store *store, const char *namespace_, const char *name);

/* Takes `value`; an earlier one of that key is released. 1 when it replaced one, 0 when it is new,
 * -ENOMEM (the value is released then). */
int kube_store_put(struct kube_store *store, const char *namespace_, const char *name, void *value);

/* false when there was none. */
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
