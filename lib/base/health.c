#include "base/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define BACKLOG 16
#define REQUEST_MAX 2048     /* the kubelet's request has some 150 bytes */
#define REQUEST_TIME_MS 5000 /* a probe's own time-out is 1 s */
#define CONNECTIONS_MAX 16   /* more than probers need; a flood costs no more than this */
#define ADDRESS_MAX 128
#define HEAD_MAX 256

#define TEXT "text/plain"

struct connection {
    struct health *health;
    struct connection *next, **link;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    char request[REQUEST_MAX + 1];
    size_t len;
    struct buf answer;
    bool closing;
    unsigned closed;
};

struct health {
    uv_loop_t *loop;
    uv_tcp_t listener;
    struct connection *connections;
    unsigned n;
    struct health_source source;
};

/* ---- One connection ----------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;

    if (++connection->closed < 2)
        return;
    buf_done(&connection->answer);
    free(connection);
}

static void close_connection(struct connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    connection->health->n--;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
    uv_close((uv_handle_t *)&connection->timer, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    close_connection(write->data);
}

static void on_time_out(uv_timer_t *timer)
{
    close_connection(timer->data);
}

static void send_answer(struct connection *connection)
{
    uv_buf_t buf = uv_buf_init(connection->answer.data, (unsigned)connection->answer.len);

    connection->write.data = connection;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    if (buf_error(&connection->answer) < 0 ||
        uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &buf, 1, on_written) < 0)
        close_connection(connection);
}

static void answer(struct connection *connection, const char *status, const char *type,
                   const char *body)
{
    buf_addf(&connection->answer,
             "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
             "Connection: close\r\n\r\n%s",
             status, type, strlen(body), body);
    send_answer(connection);
}

static void answer_metrics(struct connection *connection)
{
    const struct health_source *source = &connection->health->source;
    cleanup_buf struct buf text = BUF_INIT(HEALTH_METRICS_MAX);

    source->metrics(source->data, &text);
    if (buf_error(&text) < 0)
        answer(connection, "500 Internal Server Error", TEXT, "the metrics found no room\n");
    else
        answer(connection, "200 OK", HEALTH_METRICS_TYPE, text.data);
}

/* The path without its query, in place; NULL when it is no request that we know. */
static const char *path_of(char *request)
{
    char *path = request + 4;

    if (strncmp(request, "GET /", 5) != 0)
        return NULL;
    path[strcspn(path, " ?\r\n")] = '\0';
    return path;
}

static void answer_request(struct connection *connection)
{
    const struct health_source *source = &connection->health->source;
    const char *path = path_of(connection->request);
    bool live = path && (strcmp(path, "/healthz") == 0 || strcmp(path, "/livez") == 0);
    bool ready = path && strcmp(path, "/readyz") == 0;

    if (live || (ready && (!source->ready || source->ready(source->data))))
        answer(connection, "200 OK", TEXT, "ok\n");
    else if (ready)
        answer(connection, "503 Service Unavailable", TEXT, "not ready yet\n");
    else if (path && source->metrics && strcmp(path, "/metrics") == 0)
        answer_metrics(connection);
    else
        answer(connection, "404 Not Found", TEXT,
               source->metrics ? "here are /healthz, /readyz and /metrics\n"
                               : "here are /healthz and /readyz\n");
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct connection *connection = handle->data;

    (void)suggested;
    *buf = uv_buf_init(connection->request + connection->len,
                       (unsigned)(REQUEST_MAX - connection->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *connection = stream->data;

    (void)buf;
    if (n < 0) { /* ended, or no room is left for its head */
        close_connection(connection);
        return;
    }
    connection->len += (size_t)n;
    connection->request[connection->len] = '\0';
    if (strstr(connection->request, "\r\n\r\n"))
        answer_request(connection);
}

/* One too many: the oldest goes. A prober has had its answer long before, so whoever only holds
 * connections can't keep it out, and the kubelet doesn't end a program for that. */
static void make_room(struct health *health)
{
    struct connection *oldest = health->connections;

    while (oldest->next)
        oldest = oldest->next;
    if (health->n > CONNECTIONS_MAX)
        close_connection(oldest);
}

/* ---- The listener ------------------------------------------------------------------------- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct health *health = listener->data;
    struct connection *connection;

    if (status < 0)
        return;
    connection = calloc(1, sizeof *connection);
    if (!connection)
        return;
    connection->health = health;
    connection->answer = BUF_INIT(HEAD_MAX + HEALTH_METRICS_MAX);
    connection->next = health->connections;
    connection->link = &health->connections;
    if (connection->next)
        connection->next->link = &connection->next;
    health->connections = connection;
    health->n++;
    uv_tcp_init(health->loop, &connection->tcp);
    uv_timer_init(health->loop, &connection->timer);
    connection->tcp.data = connection->timer.data = connection;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) < 0 ||
        uv_read_start((uv_stream_t *)&connection->tcp, give_room, on_read) < 0 ||
        uv_timer_start(&connection->timer, on_time_out, REQUEST_TIME_MS, 0) < 0)
        close_connection(connection);
    else
        make_room(health);
}

static int parse_address(const char *text, struct sockaddr_storage *ret, struct error *err)
{
    const char *colon = strrchr(text, ':');
    char host[ADDRESS_MAX] = "";
    uint64_t port;
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (!colon || len >= sizeof host || parse_u64(colon + 1, UINT16_MAX, &port) < 0)
        return error_set(err, -EINVAL, "%s must be \"<address>:<port>\" or \":<port>\"", text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']')
        memcpy(host, text + 1, len - 2);
    else
        memcpy(host, text, len);
    if (uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret) == 0)
        return 0;
    if (uv_ip6_addr(*host ? host : "::", (int)port, (struct sockaddr_in6 *)ret) == 0)
        return 0;
    return error_set(err, -EINVAL, "%s must begin with an IP address, or with ':'", text);
}

static int bind_listener(struct health *health, struct sockaddr_storage *at)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)at;
    bool any = at->ss_family == AF_INET6 &&
               IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)at)->sin6_addr);
    int r = uv_tcp_bind(&health->listener, (const struct sockaddr *)at, 0);

    if (!any || r == 0)
        return r;
    /* A kernel without IPv6. The port lies at the same place in both. */
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_ANY);
    return uv_tcp_bind(&health->listener, (const struct sockaddr *)at, 0);
}

static void free_health(uv_handle_t *listener)
{
    free(listener->data);
}

int health_start(uv_loop_t *loop, const char *address, const struct health_source *source,
                 struct health **ret, struct error *err)
{
    struct sockaddr_storage at = {0};
    struct health *health;
    int r = parse_address(address, &at, err);

    if (r < 0)
        return r;
    health = calloc(1, sizeof *health);
    if (!health)
        return error_set(err, -ENOMEM, "memory is short");
    health->loop = loop;
    health->source = *source;
    uv_tcp_init(loop, &health->listener);
    health->listener.data = health;
    r = bind_listener(health, &at);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&health->listener, BACKLOG, on_connection);
    if (r < 0) {
        uv_close((uv_handle_t *)&health->listener, free_health);
        return error_errno(err, r, "can't listen at %s", address);
    }
    *ret = health;
    return 0;
}

int health_port(const struct health *health)
{
    struct sockaddr_storage at = {0};
    int len = sizeof at;

    if (uv_tcp_getsockname(&health->listener, (struct sockaddr *)&at, &len) < 0)
        return 0;
    return ntohs(at.ss_family == AF_INET ? ((struct sockaddr_in *)&at)->sin_port
                                         : ((struct sockaddr_in6 *)&at)->sin6_port);
}

void health_stop(struct health *health)
{
    if (!health)
        return;
    while (health->connections)
        close_connection(health->connections);
    uv_close((uv_handle_t *)&health->listener, free_health);
}
