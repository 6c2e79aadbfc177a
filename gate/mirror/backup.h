/* What a push takes away upstream, by force or by deletion, is kept here: below BACKUP_REFS, which
 * clients don't see, as "<second>-<process>/heads/main" for "refs/heads/main". Whoever looks after
 * the gate can push it back. */
#ifndef GITGATE_GATE_BACKUP_H
#define GITGATE_GATE_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "gate.h"
#include "policy.h"

#define BACKUP_REFS OWN_REFS "/backup/"

/* A month, as long as git's own reflogs reach back for what nothing else has. */
#define BACKUP_S (30 * 24 * 3600)
#define BACKUP_MAX 1000
/* Who fills the disk by pushing and forcing away can't have it stay full: these are left. */
#define BACKUP_SHORT_MAX 20

struct backup {
    uint64_t second; /* of CLOCK_REALTIME */
    const struct gate *gate;
    const char *repo;
    const struct push *push;
    bool force; /* else each update goes forward: scan saw to it */
};

/* Before the push: keeps the old value of each ref that may lose something by it, once. A value
 * that the gate has not got can't be kept. What the upstream then refuses to give up stays here,
 * too: a push that broke off may have taken it away. The repository's lock is held. The error is
 * for the client. */
int backup_make(const struct backup *backup, struct error *err);

/* Drops what is older than BACKUP_S at `now_s` and, of the rest, all but the newest BACKUP_MAX, or
 * BACKUP_SHORT_MAX where room is short. */
int backup_trim(const char *repo, uint64_t now_s, bool room_short, struct error *err);

#endif
