/* What is new in a push, told without git: for ordinary pushes, and only where it is certain. All
 * else is git's to tell (rev-list), so a walk gives up at anything that is unusual or large.
 *
 * The rule. A commit is new when the quarantine has it and the gate has not; its parents are new,
 * too, or tips of the gate's refs. What a new commit's tree names is known when the same folder of
 * a parent's tree names it, too: of a parent that is a tip, so a ref reaches it; of one that is
 * new, so it was looked at there. Else it has to be new: in the quarantine, and not in the gate.
 * Only this last part says "in the gate", and it says it of what is then left to git: an object
 * that the gate has, but perhaps no ref (a push that the upstream refused), is never known by that.
 *
 * So each object of the push is in the list or reachable from a ref, as with rev-list. */
#ifndef GITGATE_GATE_WALK_H
#define GITGATE_GATE_WALK_H

#include "base/buf.h"
#include "policy.h"
#include "walk/odb.h"

#define WALK_OBJECTS_MAX 1000u
#define WALK_BYTES_MAX (8u << 20) /* of new objects: they are kept */
#define WALK_COMMITS_MAX 500u
#define WALK_REFS_MAX 16u
#define WALK_STEPS_MAX 500000u /* entries of trees that are looked at */
#define WALK_DEPTH_MAX 100u    /* of folders */
#define WALK_PARENTS_MAX 16u
#define WALK_PATH_MAX 4000u

struct walk_object {
    uint8_t id[ODB_ID_LEN];
    struct odb_object object;
    char *path; /* NULL: a commit */
};

struct walk {
    struct walk_object *list; /* in rev-list's order: what is behind a commit belongs to it */
    size_t n;
    uint64_t bytes;
    bool ahead; /* the push is one ref, whose value in the gate is below the new one */
};

#define WALK_INIT ((struct walk){0})
#define cleanup_walk CLEANUP(walk_done)

/* Of a pre-receive hook with `repo` as its folder. False: ask git; nothing is in `ret` then. */
bool walk_push(const char *repo, const struct push *push, struct walk *ret);
void walk_done(struct walk *walk);

/* rev-list's line of an object, without its line end. */
void walk_line(const struct walk_object *object, struct buf *to);

#endif
