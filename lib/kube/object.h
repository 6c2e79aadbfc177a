/* What is asked of every object that the API server sends. */
#ifndef GITGATE_KUBE_OBJECT_H
#define GITGATE_KUBE_OBJECT_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "data/document.h"
#include "kube/resource.h"

/* Before a document of the API server is read: NUL characters in strings become U+FFFD, in place.
 * Whoever may annotate any one object can put one there; no program should fall over it, and a C
 * string can't hold it. */
void object_mend(char *text, size_t len);

struct object_key {
    const char *ns; /* "" for cluster-scoped objects */
    const char *name;
    const char *version; /* resourceVersion */
};

/* -EBADMSG when name or version are missing. */
int object_key_of(const struct node *object, struct object_key *ret, struct error *err);

/* The object as a tree of its own, without metadata.managedFields (most of a small object) and with
 * its type (objects of a list come without). NULL when memory is short. */
json_t *object_to_json(const struct node *object, const struct kube_resource *resource);

/* The same as text, and without metadata.annotations (`kubectl apply` keeps the object a second
 * time there). */
void object_write(struct buf *to, const struct node *object, const struct kube_resource *resource);

#endif
