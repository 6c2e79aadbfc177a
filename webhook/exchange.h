/* One request and its answer, as the server's connections (libwebsockets) bring them in pieces. */
#ifndef GITGATE_WEBHOOK_EXCHANGE_H
#define GITGATE_WEBHOOK_EXCHANGE_H

#include <libwebsockets.h>

#include "connections.h"
#include "room.h"
#include "server.h"

/* What all exchanges of a server share. */
struct exchanges {
    const struct server_spec *spec;
    size_t open; /* exchanges that there are */
    struct connections connections;
    struct room room;           /* for their bodies and answers */
    bool stopping;              /* answers end their connections */
    void (*closed)(void *data); /* one has ended */
    void *data;
};

/* With `spec`, `closed` and `data` set. */
void exchanges_init(struct exchanges *exchanges);

/* The clock of their connections. */
static inline uint64_t exchanges_now_ms(void)
{
    return (uint64_t)lws_now_usecs() / LWS_US_PER_MS;
}

/* libwebsockets' callbacks for a connection; each gives 0, or -1 to end it. */
int exchange_start(struct exchanges *exchanges, struct connection *connection, const char *path);
int exchange_body(struct connection *connection, const char *bytes, size_t len);
int exchange_body_end(struct connection *connection);
int exchange_write(struct connection *connection);
/* A time is up, maybe that of an earlier exchange of the connection: 0 then. */
int exchange_expire(struct connection *connection);
/* The client is through with it, or has gone; one that a handler has stays until it answers. */
void exchange_leave(struct connection *connection);

#endif
