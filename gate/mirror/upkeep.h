/* What a repository needs to stay quick and small, judged from what is in it. Pure.
 *
 * Pushes and fetches leave packs and loose objects, refs as files of their own, and objects that no
 * ref reaches any more: what the upstream refused, what was forced away or deleted. */
#ifndef GITGATE_GATE_UPKEEP_H
#define GITGATE_GATE_UPKEEP_H

#include <stdbool.h>
#include <stdint.h>

struct upkeep_seen {
    uint64_t packs, loose_objects, loose_refs;
    uint64_t debris;          /* what may have been left by somebody who was killed, or is in use */
    uint64_t bytes;           /* of all objects */
    uint64_t collected_bytes; /* the same when unreachable objects were last taken away */
    uint64_t collected_s;     /* seconds since then */
    bool room_short;          /* the disk or the quota is nearly full */
};

struct upkeep_need {
    bool sweep;     /* debris away, what of it is nobody's */
    bool roll;      /* packs and loose objects into fewer packs */
    bool pack_refs; /* refs into one file */
    bool collect;   /* objects that nothing reaches, away */
};

/* A fetch looks into each pack for each object that it does not find: some are no matter. */
#define UPKEEP_PACKS_MAX 16
/* A file each; git's own limit is 6700, but ours are not the only ones on a node's disk. */
#define UPKEEP_LOOSE_MAX 500
#define UPKEEP_REFS_MAX 100
/* To collect means to walk through all history: for this much growth, once a day, or when room is
 * short, though not again and again. */
#define UPKEEP_GROWTH_MIN ((uint64_t)64 << 20)
#define UPKEEP_COLLECT_S (24 * 3600)
#define UPKEEP_COLLECT_SHORT_S 600

struct upkeep_need upkeep_judge(const struct upkeep_seen *seen);

#endif
