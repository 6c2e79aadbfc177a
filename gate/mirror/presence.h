/* Who is at work in a repository: a lock that a connection holds from its refresh to its end,
 * shared with all others, so that objects which nobody refers to are only taken away when nobody
 * can be about to.
 *
 * serve opens the lock's file anew for each connection, and git daemon and all below it inherit
 * that one open file description; the lock (F_OFD_SETLK, fcntl(2)) is the description's, and so
 * ends with the last process of the connection, however it ends. */
#ifndef GITGATE_GATE_PRESENCE_H
#define GITGATE_GATE_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "gate.h"

/* A description of its own, close-on-exec; a negative errno. */
int presence_open(const char *repos_dir, struct error *err);

/* For a hook, which holds the repository's lock: its connection is at work in `upstream`'s
 * repository from now on. Nothing for a hook that was started by hand. */
int presence_join(const struct gate *gate, const struct upstream *upstream, struct error *err);

/* A number that the connection keeps, for all of its hooks to read: 1 to PRESENCE_NOTE_MAX (it lies
 * in the description, as the offset in the lock's file, and file systems bound that). Nothing, and
 * false, for a hook that was started by hand. */
#define PRESENCE_NOTE_MAX (((uint64_t)1 << 40) - 1)
int presence_note(const struct gate *gate, uint64_t number, struct error *err);
bool presence_noted(const struct gate *gate, uint64_t *number);

/* The scan lets the connection's push through; it has one. git itself does not see to that: a hook
 * which it can't look at, for whatever reason, counts for one that agrees (run-command.c,
 * find_hook). Never for a hook that was started by hand. */
int presence_agree(const struct gate *gate, struct error *err);
bool presence_agreed(const struct gate *gate);

/* True when no connection is at work in the repository of the upstream `name`, and none can be
 * while the repository's lock and `fd` are held. Waits at most `timeout_ms`. */
bool presence_none(int fd, const char *name, uint64_t timeout_ms);

#endif
