/* A server on loopback that says what the test tells it to, and a loop with a client of it. */
#ifndef GITGATE_TESTS_UNIT_SCRIPTED_SERVER_H
#define GITGATE_TESTS_UNIT_SCRIPTED_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/client.h"

#define REQUEST_MAX 8192
#define SILENCE "" /* a reply that never comes */
#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define JSON(status, body) HEAD(status) "Content-Type: application/json\r\n\r\n" body
#define CHUNKED HEAD("200 OK") "Transfer-Encoding: chunked\r\n\r\n"

/* ---- A scripted server ---------------------------------------------------------------------- */

struct exchange {
    const char *expect; /* must be in the request's head */
    const char *reply;  /* NULL ends the script */
};

struct server {
    uv_tcp_t listener;
    const struct exchange *next;
    int connections; /* open ones */
};

struct peer {
    uv_tcp_t tcp;
    uv_write_t write;
    struct server *server;
    char request[REQUEST_MAX + 1];
    size_t len;
};

static inline void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;

    peer->server->connections--;
    free(peer);
}

static inline void close_peer(struct peer *peer)
{
    if (!uv_is_closing((uv_handle_t *)&peer->tcp))
        uv_close((uv_handle_t *)&peer->tcp, on_peer_closed);
}

static inline void on_sent(uv_write_t *write, int status)
{
    (void)status;
    close_peer(write->data);
}

static inline void reply(struct peer *peer)
{
    struct server *server = peer->server;
    const struct exchange *exchange = server->next;
    uv_buf_t buf;

    if (!exchange->reply)
        return; /* the script is over: silence */
    if (!strstr(peer->request, exchange->expect))
        fail_msg("expected %s in\n%s", exchange->expect, peer->request);
    server->next++;
    if (strcmp(exchange->reply, SILENCE) == 0)
        return;
    buf = uv_buf_init((char *)exchange->reply, (unsigned)strlen(exchange->reply));
    peer->write.data = peer;
    uv_write(&peer->write, (uv_stream_t *)&peer->tcp, &buf, 1, on_sent);
}

static inline void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct peer *peer = handle->data;

    (void)suggested;
    *buf = uv_buf_init(peer->request + peer->len, (unsigned)(REQUEST_MAX - peer->len));
}

static inline void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *peer = stream->data;

    (void)buf;
    if (n < 0) {
        close_peer(peer);
        return;
    }
    peer->len += (size_t)n;
    peer->request[peer->len] = '\0';
    if (strstr(peer->request, "\r\n\r\n"))
        reply(peer);
}

static inline void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    struct peer *peer = calloc(1, sizeof *peer);

    assert_int_equal(status, 0);
    peer->server = server;
    peer->tcp.data = peer;
    server->connections++;
    uv_tcp_init(listener->loop, &peer->tcp);
    uv_accept(listener, (uv_stream_t *)&peer->tcp);
    uv_read_start((uv_stream_t *)&peer->tcp, give_room, on_read);
}

/* ---- One test's world ----------------------------------------------------------------------- */

struct world {
    uv_loop_t loop;
    struct server server;
    struct kube_client *client;
    uv_timer_t alarm; /* a test that waits for too long fails */
};

static inline void on_alarm(uv_timer_t *alarm)
{
    (void)alarm;
    fail_msg("the test waits for something that does not come");
}

static inline void world_init(struct world *world, const struct exchange *script)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    struct sockaddr_in at = {0};
    int len = sizeof at;
    struct error err = ERROR_INIT;

    memset(world, 0, sizeof *world);
    uv_loop_init(&world->loop);
    uv_tcp_init(&world->loop, &world->server.listener);
    world->server.listener.data = &world->server;
    world->server.next = script;
    uv_ip4_addr("127.0.0.1", 0, &at);
    uv_tcp_bind(&world->server.listener, (struct sockaddr *)&at, 0);
    uv_listen((uv_stream_t *)&world->server.listener, 16, on_connection);
    uv_tcp_getsockname(&world->server.listener, (struct sockaddr *)&at, &len);
    uv_timer_init(&world->loop, &world->alarm);
    uv_timer_start(&world->alarm, on_alarm, 20000, 0);
    assert_true(asprintf(&config.server, "http://127.0.0.1:%d", ntohs(at.sin_port)) > 0);
    buf_adds(&config.token, "a-token");
    assert_int_equal(kube_client_new(&world->loop, &config, &world->client, &err), 0);
}

static inline void world_done(struct world *world)
{
    kube_client_free(world->client);
    uv_close((uv_handle_t *)&world->server.listener, NULL);
    uv_close((uv_handle_t *)&world->alarm, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->server.connections, 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
}

#endif
