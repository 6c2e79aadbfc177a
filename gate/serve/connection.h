/* One client: a socket and the git daemon that serves it. */
#ifndef GITGATE_GATE_CONNECTION_H
#define GITGATE_GATE_CONNECTION_H

#include <stdbool.h>
#include <uv.h>

#include "gate.h"
#include "git.h"
#include "serve/journal.h"

#define CONNECTIONS_MAX 256 /* processes of 5 MB and less; more clients wait in the backlog */

struct connections {
    uv_loop_t *loop;
    const struct gate *gate;
    struct journal *journal;
    struct child_env env;
    struct connection *first; /* the newest */
    struct line *lines;       /* of queue.c, as what follows */
    size_t waiting;
    uv_check_t after_events; /* while clients may be let through */
    uv_idle_t not_blocking;
    uv_timer_t turn_comes;
    uv_timer_cb on_turn;
    uv_timer_t fetches;     /* of fetches.c: active while somebody fetches */
    uv_timer_t room_wanted; /* of room.c: active while somebody waits for a place */
    size_t n;
    void (*on_room)(void *data); /* one has ended while there were CONNECTIONS_MAX */
    void *data;
};

/* What git daemon and the hooks below it get to know. */
int connections_init(struct connections *connections, uv_loop_t *loop, const struct gate *gate,
                     struct journal *journal, struct error *err);

/* Their standard input, output and error, and behind them the log and the events. */
#define CHILD_FDS 5
void connections_child_fds(const struct connections *connections,
                           uv_stdio_container_t stdio[CHILD_FDS], int in, int out);

/* Accepts the client that waits at `listener`. A git daemon is started for it when its request is
 * here and it may ask the upstream, or share what was asked after it came (queue.h). */
int connection_accept(struct connections *connections, uv_stream_t *listener, struct error *err);

/* Ends all: SIGTERM to each process group. */
void connections_end(struct connections *connections);

#endif
