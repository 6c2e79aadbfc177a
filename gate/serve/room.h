/* Who gives up a place when all are taken and somebody waits for one.
 *
 * A place costs nothing while the gate is at work for a client, or has it wait. As long as the gate
 * waits for the client, that may hold it for a while, and longer by the bytes that come and go (as
 * Apache's mod_reqtimeout has it, MinRate). Of those who owe, who has owed longest goes, and no
 * more than there are others to come in: a client that packs for minutes before it sends anything
 * keeps its place as long as nobody needs it. */
#ifndef GITGATE_GATE_ROOM_H
#define GITGATE_GATE_ROOM_H

#include "serve/connection.h"

void room_init(struct connections *connections);

/* Somebody waits for a place. */
void room_wanted(struct connections *connections);

/* He has got one. */
void room_found(struct connections *connections);

bool room_is_wanted(const struct connections *connections);

/* The gate now waits for the client whose git daemon leads `session`: its refresh has ended. */
void room_clients_turn(struct connections *connections, int session);

/* That client now waits for the gate: its push has come. */
void room_gates_turn(struct connections *connections, int session);

#endif
