/* One client: a socket and the git daemon that serves it. */
#ifndef GITGATE_GATE_CONNECTION_H
#define GITGATE_GATE_CONNECTION_H

#include <stdbool.h>
#include <uv.h>

#include "gate.h"
#include "git.h"

#define CONNECTIONS_MAX 256 /* processes of 5 MB and less; more clients wait in the backlog */

struct connections {
    uv_loop_t *loop;
    const struct gate *gate;
    struct child_env env;
    struct connection *first;
    size_t n;
    void (*on_room)(void *data); /* one has ended while there were CONNECTIONS_MAX */
    void *data;
};

/* What git daemon and the hooks below it get to know. */
int connections_init(struct connections *connections, uv_loop_t *loop, const struct gate *gate,
                     struct error *err);

/* Accepts the client that waits at `listener` and hands it to git daemon. */
int connection_accept(struct connections *connections, uv_stream_t *listener, struct error *err);

/* Ends all: SIGTERM to each process group. */
void connections_end(struct connections *connections);

#endif
