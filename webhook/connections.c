#include "connections.h"

#include <stdlib.h>

/* So long a request that is right may take to come, and its answer to be read. */
#define FREE_MS 1000

void connections_init(struct connections *connections, size_t max)
{
    *connections = (struct connections){.max = max};
    for (int i = 0; i < CONNECTION_STATES; i++)
        TAILQ_INIT(&connections->lists[i]);
}

static void insert(struct connections *connections, struct connection *connection,
                   enum connection_state state, uint64_t now_ms)
{
    connection->state = state;
    connection->since_ms = now_ms;
    TAILQ_INSERT_TAIL(&connections->lists[state], connection, next);
    connections->n += state != CONNECTION_GOING;
}

static void take_out(struct connections *connections, struct connection *connection)
{
    TAILQ_REMOVE(&connections->lists[connection->state], connection, next);
    connections->n -= connection->state != CONNECTION_GOING;
}

struct connection *connection_new(struct connections *connections, struct lws *wsi, uint64_t now_ms)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return NULL;
    connection->wsi = wsi;
    insert(connections, connection, CONNECTION_NEW, now_ms);
    return connection;
}

void connection_free(struct connections *connections, struct connection *connection)
{
    if (!connection)
        return;
    take_out(connections, connection);
    free(connection);
}

void connection_enter(struct connections *connections, struct connection *connection,
                      enum connection_state state, uint64_t now_ms)
{
    if (connection->state == CONNECTION_GOING)
        return;
    take_out(connections, connection);
    insert(connections, connection, state, now_ms);
}

/* One that has just asked is likelier to be an API server's than one that is idle, and which of
 * those is left open for its next request can't be known: closing that costs it a retry. */
struct connection *connections_surplus(const struct connections *connections,
                                       struct connection *newcomer, uint64_t now_ms)
{
    struct connection *silent = TAILQ_FIRST(&connections->lists[CONNECTION_NEW]);
    struct connection *asking = TAILQ_FIRST(&connections->lists[CONNECTION_ASKING]);
    struct connection *idle = TAILQ_FIRST(&connections->lists[CONNECTION_IDLE]);

    if (connections->n <= connections->max)
        return NULL;
    if (silent && silent != newcomer)
        return silent;
    if (asking && (!idle || now_ms - asking->since_ms > FREE_MS))
        return asking;
    return idle ? idle : newcomer;
}
