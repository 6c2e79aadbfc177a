/* The server's connections, and who of them goes when there are more than there may be.
 *
 * Anybody may hold one, with no certificate, and the API server must still get one. So whoever
 * comes is let in, and who has made the server wait for the longest goes, those first who have
 * never asked anything: an API server begins its handshake at once. */
#ifndef GITGATE_WEBHOOK_CONNECTIONS_H
#define GITGATE_WEBHOOK_CONNECTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct lws;
struct exchange;

enum connection_state {
    CONNECTION_NEW,     /* no handshake yet, or no whole header of a request */
    CONNECTION_ASKING,  /* its request's body comes, or its answer is being read */
    CONNECTION_AT_WORK, /* a handler has its request */
    CONNECTION_IDLE,    /* between two requests */
    CONNECTION_GOING,   /* told to go: counts no more, but it takes until the loop comes round */
    CONNECTION_STATES
};

struct connection {
    struct lws *wsi;
    struct exchange *exchange; /* under way; or NULL */
    enum connection_state state;
    uint64_t since_ms;
    TAILQ_ENTRY(connection) next;
};

TAILQ_HEAD(connection_list, connection);

struct connections {
    struct connection_list lists[CONNECTION_STATES]; /* who has been in the state longest first */
    size_t n, max;                                   /* without those that are going */
};

void connections_init(struct connections *connections, size_t max);

/* Each is the caller's until connection_free. NULL when memory is short. */
struct connection *connection_new(struct connections *connections, struct lws *wsi,
                                  uint64_t now_ms);
/* NULL is fine. */
void connection_free(struct connections *connections, struct connection *connection);

/* Also into the state that it is in: it counts from now on. One that is going stays so. */
void connection_enter(struct connections *connections, struct connection *connection,
                      enum connection_state state, uint64_t now_ms);

/* Who has to go for `newcomer`, who may be it himself; NULL when there is room. */
struct connection *connections_surplus(const struct connections *connections,
                                       struct connection *newcomer, uint64_t now_ms);

#endif
