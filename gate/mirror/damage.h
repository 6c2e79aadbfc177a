/* A mirror that is damaged (a node that lost its power, a disk that failed): told from one that is
 * whole, set aside, and begun anew. All that a mirror holds is the upstream's too, but for backups
 * and for what is being pushed. */
#ifndef GITGATE_GATE_DAMAGE_H
#define GITGATE_GATE_DAMAGE_H

#include <stdbool.h>

#include "gate.h"

/* Reads all that is there, which may take minutes (git fsck). What older programs wrote in a way
 * that today's git finds fault with is no damage, nor is anything that no ref leads to. */
int damage_look(const char *repo, bool *damaged, struct error *err);

#define DAMAGE_DIR OWN_DIR "/damaged" /* below the repository */

/* Puts what git keeps into DAMAGE_DIR, in place of what may be there, and an empty repository
 * in its stead. The repository's lock is held. */
int damage_set_aside(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     struct error *err);

/* Removes what was set aside a week ago, or at once when room is short. */
void damage_forget(const char *repo, bool room_short);

#endif
