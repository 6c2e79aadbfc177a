/* JSON Patch (RFC 6902) applied to a document, and what takes it back. */
#ifndef GITGATE_DATA_JSON_PATCH_H
#define GITGATE_DATA_JSON_PATCH_H

#include <jansson.h>

#include "base/error.h"

/* Of a pointer (RFC 6901), as the text of an operation has it. */
#define JSON_POINTER_MAX 1024

/* Changes `document`. Operations add, remove, replace, move and test; none at the document's root.
 *
 * To `undo`, an array or NULL, are added (in front) the operations that take these back. Each is
 * guarded by tests that hold while what it takes away is still there, so that it fails where
 * somebody has changed the document since; an object with a name is known by that.
 *
 * -EINVAL, naming the operation's path, when one isn't possible, -ENOMEM: the document is then of
 * no more use, nor is `undo`. */
int json_patch_apply(json_t *document, const json_t *patch, json_t *undo, struct error *err);

#endif
