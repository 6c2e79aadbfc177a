/* What a push would make reachable: every object that the upstream has not got, as files to scan.
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
#include "piece.h"
#include "policy.h"
#include "workdir.h"

/* Caps on what one push may unpack to. A pack is small where its content repeats. */
#define OBJECTS_MAX 500000
#define UNPACKED_MAX (1ull << 30)
#define NAMES_MAX (64u << 20)  /* bytes of all new paths */
#define OBJECT_MAX (32u << 20) /* of a tree, a commit or a tag: those are read whole */

/* Where in the push a finding lies. */
struct location {
    enum place place;
    char commit[OID_HEX_MAX + 1]; /* the first new commit that has it, if objects_commit_has */
    char object[OID_HEX_MAX + 1]; /* the blob, tag or commit; of a name, the tree that it is in */
    char path[PATH_MAX];          /* of the blob or tree; "" for a root, or when not known */
    unsigned line;                /* of a blob; 0 elsewhere */
};

struct objects; /* opaque */

/* Below the work folder; what is scanned lies in its folder SCAN_DIR. */
#define SCAN_DIR "content"

/* Writes everything new of `push` (and `options`, the push options) into the work folder. */
int objects_write(const char *repo, const struct push *push, const struct buf *options,
                  const struct workdir *dir, uint64_t deadline_ns, struct objects **ret,
                  struct error *err);
void objects_free(struct objects *objects);

/* Bytes in all files of SCAN_DIR: what a scanner must say it has read. */
uint64_t objects_bytes(const struct objects *objects);

/* One more file of `len` bytes was put there. */
void objects_add_bytes(struct objects *objects, uint64_t len);

/* The place of line `line` of the file `name` in SCAN_DIR; PLACE_NONE for a file that is not ours.
 */
void objects_locate(const struct objects *objects, const char *name, unsigned line,
                    struct location *ret);

/* Whether the commit really has the object at that path. */
bool objects_commit_has(const struct objects *objects, const char *commit, const char *path,
                        const char *oid);

/* Whether a finding at `line` of the file `name` is about this very path: it must not be shown. */
bool objects_flags_path(const struct objects *objects, const char *name, unsigned line,
                        const char *path);

#endif
