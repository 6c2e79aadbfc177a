/* Which upstream a mirror is of. A GitGate's upstream may be given another URL under its name, and
 * what the gate has from the one says nothing of the other: served, it would be somebody else's;
 * taken for known by a scan, it would leave unscanned.
 *
 * So the repository records the URL that it was filled from, with a number that no other making of
 * it has. A connection notes the number when its refresh ends (presence.h), and its push counts
 * only as long as the repository is the same one. */
#ifndef GITGATE_GATE_SOURCE_H
#define GITGATE_GATE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "gate.h"

/* Whether the repository is a mirror of the upstream's URL, or is becoming one. */
bool source_is(const char *repo, const struct upstream *upstream);

/* The number of this making; 0 when the repository is a mirror of nothing yet. */
uint64_t source_number(const char *repo);

/* The repository is nobody's, until it is recorded anew. */
void source_forget(const char *repo);

/* Of an empty repository: it is the upstream's from now on. The repository's lock is held. */
int source_record(const struct upstream *upstream, const char *repo, struct error *err);

/* Takes all away that came from another URL, backups and what was damaged too, and begins an empty
 * mirror of the upstream. There is a repository at every moment; who is at work in the old one
 * fails. The repository's lock is held. */
int source_begin(const struct upstream *upstream, const char *repo, struct error *err);

/* For the access hook, under the repository's lock: its connection is served this making. */
int source_join(const struct gate *gate, const char *repo, struct error *err);

/* For a push's hooks: 0 when the repository is a mirror of the upstream's URL, and the making that
 * the connection's refresh saw. Else -ESTALE, and the error is for the client to read. */
int source_check(const struct gate *gate, const struct upstream *upstream, const char *repo,
                 struct error *err);

#endif
