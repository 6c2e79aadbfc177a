/* Clients that have no git daemon yet: who has not said what it wants, who waits for a refresh, who
 * is to be served next. turn.h decides, this file looks and does. */
#ifndef GITGATE_GATE_QUEUE_H
#define GITGATE_GATE_QUEUE_H

#include "serve/connection.h"

struct connection;

void queue_init(struct connections *connections);

/* A client that was just accepted. */
void queue_join(struct connection *c);

/* Its git daemon has ended: if it was to ask the upstream, it does so no longer. */
void queue_leave(struct connection *c);

/* A refresh of the repository `name` has ended, which asked the upstream at `asked_ns` for the
 * connection whose git daemon leads `session`: all who came before follow. */
void queue_refreshed(struct connections *connections, int session, const char *name,
                     uint64_t asked_ns);

#endif
