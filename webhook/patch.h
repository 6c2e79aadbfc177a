/* A JSON Patch (RFC 6902) written operation by operation: nothing is ever diffed, so its size and
 * the time to make it grow with what is changed, not with the document. */
#ifndef GITGATE_WEBHOOK_PATCH_H
#define GITGATE_WEBHOOK_PATCH_H

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"

/* The longest pointer of ours, "/spec/ephemeralContainers/4294967295/securityContext/capabilities",
 * fits three times over. */
#define POINTER_MAX 256

/* A JSON Pointer (RFC 6901) by value. One that would be too long makes the patch that uses it fail.
 */
struct pointer {
    char text[POINTER_MAX];
    int err;
};

/* `text` stands in the pointer as it is: for members whose names have neither '~' nor '/'. */
struct pointer pointer_to(const char *text);
/* `base` with the member `key` behind it, escaped. */
struct pointer pointer_member(const struct pointer *base, const char *key);
struct pointer pointer_index(const struct pointer *base, size_t index);
/* The place behind an array's last element. */
struct pointer pointer_end(const struct pointer *base);

/* Errors stick: check `err` (0, -ENOMEM or -ENAMETOOLONG) once at the end. */
struct patch {
    json_t *ops; /* owned; NULL when memory is short */
    int err;
};

void patch_init(struct patch *patch);
void patch_done(struct patch *patch);
#define cleanup_patch CLEANUP(patch_done)

/* The array of operations goes to the caller. */
json_t *patch_take(struct patch *patch);

/* Both steal `value`; NULL counts as short memory. */
void patch_add(struct patch *patch, struct pointer path, json_t *value);
void patch_replace(struct patch *patch, struct pointer path, json_t *value);
void patch_move(struct patch *patch, struct pointer from, struct pointer path);

#endif
