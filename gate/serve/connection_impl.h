/* A client, as connection.c and queue.c share it. */
#ifndef GITGATE_GATE_CONNECTION_IMPL_H
#define GITGATE_GATE_CONNECTION_IMPL_H

#include "serve/connection.h"
#include "serve/turn.h"

enum connection_state {
    CONNECTION_ASKS,  /* its request is not here yet */
    CONNECTION_WAITS, /* for its turn to refresh, or for a refresh that it shares */
    CONNECTION_READY, /* for its git daemon */
    CONNECTION_SERVED,
    CONNECTION_LINGERS, /* its git daemon has ended */
    CONNECTION_OVER,    /* or is ended */
};

/* The clients of one repository, and whose turn it is. */
struct line {
    struct line *next;
    char *name; /* the upstream's */
    struct turn turn;
    struct connection *leader; /* who asks the upstream for all; NULL when nobody does */
};

struct connection {
    struct connections *all;
    struct connection *next, *before;
    uv_tcp_t socket;
    uv_poll_t request; /* until that is here */
    uv_process_t process;
    uv_timer_t life;
    uint64_t started_ns; /* when it was accepted */
    uint64_t arrived_ns; /* when its request was here */
    uint64_t awaited_ns; /* since when the gate waits for it; 0: it waits for the gate */
    size_t seen;         /* bytes of the request */
    bool fetches;        /* and nothing else */
    enum connection_state state;
    struct line *line; /* as long as it waits there, or leads */
    int open;          /* handles not closed yet */
    char drain[4096];
};

/* Has `on_readable` called when there is something to read, until connection_unwatch; either stops
 * its timer, too. */
int connection_watch(struct connection *c, uv_poll_cb on_readable);
void connection_unwatch(struct connection *c);

/* Starts its git daemon. */
void connection_serve(struct connection *c);

/* Ends what has no git daemon yet. */
void connection_drop(struct connection *c);

/* Ends it in whatever state it is, and logs why. */
void connection_end(struct connection *c, const char *why);

#endif
