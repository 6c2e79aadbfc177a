/* The HTTPS server: libwebsockets over TLS 1.3 on a libuv loop of the program's, HTTP/1.1.
 *
 * Every request gets an answer that says what was wrong with it, also when its body is larger than
 * the cap: what is not kept is read to its end first, so that no client finds its connection cut.
 */
#ifndef GITGATE_WEBHOOK_SERVER_H
#define GITGATE_WEBHOOK_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "base/log.h"
#include "identity.h"

struct server;

/* One request until it is answered. */
struct exchange;

/* `body` is the exchange's until it is answered; the handler may change it. Answer now or later,
 * exactly once. */
typedef void (*server_handler_fn)(void *data, struct exchange *exchange, char *body, size_t len);

struct server_route {
    const char *path;
    server_handler_fn handle;
    void *data;
};

/* Seconds and connections; each has a default. */
struct server_limits {
    unsigned network_s; /* TLS hello, request header, every wait within a body or an answer */
    unsigned request_s; /* for a body from its header on, and for an answer until it is read */
    unsigned idle_s;    /* between two requests */
    unsigned connections;
};

/* 10: the API server waits 30 s at most, and sends at once. 120: longer than its 90 s (Go's
 * IdleConnTimeout): were the server the first to close, a request just sent would be lost, and with
 * it an admission. 1024: API servers keep tens; each idle one costs about 30 kB. Past that number
 * somebody goes for who comes (connections.h). */
#define SERVER_LIMITS ((struct server_limits){10, 30, 120, 1024})

struct server_spec {
    const char *address; /* IPv4 or IPv6; "0.0.0.0": all of IPv4; "" and "::": all */
    uint16_t port;       /* 0: any that is free, see server_port */
    struct server_limits limits;
    const struct server_route *routes; /* POST application/json; ends with a NULL path */
    bool (*ready)(void *data);         /* GET /readyz: 200 or 503; /healthz is 200 */
    void *data;
    const struct log *log;
};

/* Does not listen yet. `spec` and its strings are borrowed for the server's life. The loop must not
 * have anything else on it yet: a failure runs it to its end. */
int server_new(uv_loop_t *loop, const struct server_spec *spec, struct server **ret,
               struct error *err);

/* For new connections; what can't be used leaves what is in use. With the first one it begins to
 * listen: a client that finds nobody knows better what to do than one that is shown a certificate
 * which it can't trust. -EADDRINUSE when it can't. */
int server_set_identity(struct server *server, const struct identity *identity, struct error *err);

bool server_listens(const struct server *server);
uint16_t server_port(const struct server *server);

/* Takes no new connection, answers what is under way (with "connection: close"), then closes what
 * it has on the loop and calls `stopped`. */
void server_stop(struct server *server, void (*stopped)(void *data), void *data);

/* After server_stop, when the loop has run to its end. NULL is fine. */
void server_free(struct server *server);

/* Copies `body`. An exchange whose client has gone is freed all the same. */
void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     const char *body, size_t len);

#endif
