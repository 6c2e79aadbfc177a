/* What is asked of every object that the API server sends. */
#ifndef GITGATE_KUBE_OBJECT_H
#define GITGATE_KUBE_OBJECT_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "data/document.h"
#include "data/json_span.h"
#include "kube/resource.h"

/* Before a document of the API server is read: what whoever may write any one object can put there,
 * and no program should fall over, in place.
 *
 * NUL characters in strings become U+FFFD: a C string can't hold them. A `fieldsV1` becomes null
 * that no strict reader takes. The API server sends it as it was given: nested a thousand deep,
 * bytes that are no UTF-8, names that differ in a NUL alone. All else it has read and checked by a
 * schema. */
void object_mend(char *text, size_t len);

/* Mends and reads text[0..len), which it changes and which must stay as long as the document. All
 * that the API server says goes through here. -EBADMSG when no strict reader takes it or it is no
 * object, with a sentence that follows the name of the text; -ENOMEM. */
int object_parse(char *text, size_t len, struct document *ret, struct error *err);

/* The same as a tree of its own, without metadata.managedFields (most of a small object). */
int object_read(char *text, size_t len, json_t **ret, struct error *err);

struct object_key {
    const char *ns; /* "" for cluster-scoped objects */
    const char *name;
    const char *version; /* resourceVersion */
};

/* -EBADMSG when name or version are missing. */
int object_key_of(const struct node *object, struct object_key *ret, struct error *err);

/* What stands for an object that can't be read: adds {"metadata":{...}} with namespace, name, uid
 * and resourceVersion alone, out of its text. Nothing when it has no name or version there. */
void object_write_known(struct buf *to, struct json_span object);

/* The object as a tree, with its type (objects of a list come without); of its metadata only what
 * says which object it is: name, namespace, uid, resourceVersion, generation, deletionTimestamp.
 * NULL when memory is short. */
json_t *object_to_json(const struct node *object, const struct kube_resource *resource);

/* The same as text. */
void object_write(struct buf *to, const struct node *object, const struct kube_resource *resource);

#endif
