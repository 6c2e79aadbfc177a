/* What a push would make reachable: every object that the upstream has not got, as pieces to look
 * through.
 *
 * No diff is looked at, so a merge's own change, a rename, attributes, replace refs and what a
 * later commit removes again hide nothing: a blob is there whole, or it is not new. */
#ifndef GITGATE_GATE_OBJECTS_H
#define GITGATE_GATE_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "gate.h"
#include "policy.h"
#include "scan/clean.h"
#include "scan/dissect.h"
#include "walk/walk.h"
#include "workdir.h"

/* Caps on what one push may unpack to: a pack is small where its content repeats. Half a million
 * objects is more than most projects ever make, and git's own memory for them (about 100 bytes
 * each) is still small. */
#define OBJECTS_MAX 500000
#define UNPACKED_MAX (1ull << 30)

/* Where in the push a finding lies. */
struct location {
    enum place place;
    char commit[OID_HEX_MAX + 1]; /* the first new commit that has it, if objects_commit_has */
    char object[OID_HEX_MAX + 1]; /* the blob, tag or commit; of a name, the tree that it is in */
    char path[PATH_MAX];          /* of the blob or tree; "" for a root, or when not known */
    unsigned line;                /* of a blob; 0 elsewhere */
};

struct objects; /* opaque */

/* Gives everything new of `push` that isn't known to be `clean` (and `options`, the push options, a
 * line each) to `dissection`, which stays the caller's; so do `repo`, `clean` and the work folder,
 * for as long as the result lives. `walk` (walk.h) tells what is new; NULL: git does. */
int objects_take_apart(const char *repo, const struct push *push, const struct walk *walk,
                       const struct buf *options, const struct clean *clean,
                       struct dissection *dissection, struct objects **ret, struct error *err);

/* Calls `fn` for each object that was taken apart, "<id>" or "<id> <path>". */
void objects_each(const struct objects *objects, void (*fn)(void *data, char *object), void *data);

void objects_free(struct objects *objects);

/* The place of a piece by what it said of itself (piece.h). */
void objects_locate(const struct objects *objects, enum place place, const char *object,
                    unsigned line, struct location *ret);

/* Whether the commit really has the object at that path. */
bool objects_commit_has(const struct objects *objects, const char *commit, const char *path,
                        const char *oid);

#endif
