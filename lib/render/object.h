/* What all rendered objects have in common. */
#ifndef GITGATE_RENDER_OBJECT_H
#define GITGATE_RENDER_OBJECT_H

#include <jansson.h>

#include "api/gitgate.h"
#include "api/names.h"

/* The object without its content: apiVersion, kind, and metadata with name, namespace (when the
 * gate has one), labels and (when it has a uid) the gate as controlling owner. NULL without memory.
 */
json_t *object_new(const struct gitgate *gate, const char *api_version, const char *kind,
                   enum owned_name which);

/* Gives the object with `content` (stolen) as its field; NULL, and the object freed, without
 * memory. */
json_t *object_with(json_t *object, const char *field, json_t *content);

#endif
