/* What a hook has to say of the fetch or push that it is a part of: told to `serve`, which makes
 * one log line of all the phases of a connection, and counts.
 *
 * An event is a JSON object with "phase" ("refresh", "received", "scan", "forward"), "ms" (how long
 * it took), "result" (one of operation.h's) and what else is worth a line. It goes through a socket
 * that only what serve starts has inherited, so no client can make one up. */
#ifndef GITGATE_GATE_EVENT_H
#define GITGATE_GATE_EVENT_H

#include <jansson.h>
#include <stdint.h>

#include "gate.h"

#define EVENT_MAX 16384 /* bytes: as long as a log line may be */

/* A pair of sockets that keep events apart: `read_end` for serve, which never blocks, `write_end`
 * for its children. */
int event_pair(int *read_end, int *write_end, struct error *err);

/* Sends an event of a phase that began at `started_ns` (clock_now_ns); steals `fields`. Where it
 * can't be sent, it is a log line of its own: it must not be lost, and nothing waits for it. */
void event_send(const struct gate *gate, const char *phase, uint64_t started_ns, json_t *fields);

/* The next event that waits at `read_end`, or NULL. */
json_t *event_receive(int read_end);

#endif
