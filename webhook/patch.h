/* A JSON Patch (RFC 6902) written operation by operation, as text: nothing is ever diffed, so its
 * size and the time to make it grow with what is changed, not with the document. */
#ifndef GITGATE_WEBHOOK_PATCH_H
#define GITGATE_WEBHOOK_PATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* The longest pointer of ours, "/spec/ephemeralContainers/4294967295/securityContext/capabilities",
 * fits three times over. */
#define POINTER_MAX 256

/* A JSON Pointer (RFC 6901) by value. One that would be too long makes the patch that uses it fail.
 */
struct pointer {
    char text[POINTER_MAX];
    size_t len;
    int err;
};

/* `text` stands in the pointer as it is: for members whose names have neither '~' nor '/'. */
struct pointer pointer_to(const char *text);
/* `base` with the member `key` behind it, escaped. */
struct pointer pointer_member(const struct pointer *base, const char *key);
struct pointer pointer_index(const struct pointer *base, size_t index);
/* The place behind an array's last element. */
struct pointer pointer_end(const struct pointer *base);

/* Twenty operations a container at most, for more containers than etcd's 1.5 MiB have room for. */
#define PATCH_MAX (32u << 20)

/* Errors stick: patch_error (0, -ENOMEM, -E2BIG or -ENAMETOOLONG) is asked once at the end. */
struct patch {
    struct buf ops;       /* "[{...},{...}", see patch_close */
    size_t n;             /* operations */
    struct pointer first; /* where the first one is */
    struct pointer made;  /* the array that the operation up to ... */
    size_t made_end;      /* ... here makes; 0: none */
    int err;
};

#define PATCH_INIT ((struct patch){.ops = BUF_INIT(PATCH_MAX)})
void patch_done(struct patch *patch);
#define cleanup_patch CLEANUP(patch_done)

int patch_error(const struct patch *patch);

/* Ends the array, when there is any operation: `ops` is then the patch. */
void patch_close(struct patch *patch);

/* `value` is JSON text; NULL counts as short memory. */
void patch_add(struct patch *patch, struct pointer path, const char *value);
void patch_add_string(struct patch *patch, struct pointer path, const char *text);
void patch_replace(struct patch *patch, struct pointer path, const char *value);
void patch_move(struct patch *patch, struct pointer from, struct pointer path);

/* Appends to the array at `path`, which is made when it isn't there; `*exists` is true after. What
 * is appended next to one that was just made is put into it: no operation of its own. */
void patch_append(struct patch *patch, const struct pointer *path, bool *exists, const char *value);

#endif
