#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "exchange.h"

/* What is under way when the server stops has this long: half of a pod's default grace period. */
#define STOP_TIMEOUT_MS 15000

/* The largest TLS record (RFC 8446, section 5.1). Of a smaller read the rest would stay in OpenSSL,
 * where no socket event tells of it: 4.1.6 then waits for ever on a libuv loop. */
#define READ_SIZE 16384
#define HEADER_MAX 8192 /* the API server sends a few hundred bytes */

/* The listening socket, and who is let in while those that go for them still close. */
#define FDS_BESIDE 64

/* Curves that handshakes are quick with; clients that know neither are asked for none. */
#define GROUPS "X25519:P-256"

/* The quickest first, whatever the client would rather have: the key schedule is a fifth of a
 * handshake, and SHA-256 has instructions of its own. */
#define CIPHER_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

struct server {
    const struct server_spec *spec;
    struct exchanges exchanges;
    struct lws_context *context;
    struct lws_vhost *vhost;
    SSL_CTX *tls;                    /* borrowed from libwebsockets */
    const struct identity *identity; /* the first, while it begins to listen */
    uv_loop_t *loop;
    bool destroying;
    uv_timer_t stop_timer;
    uv_async_t stop_check;
    int closing; /* handles that are to close */
    void (*stopped)(void *data);
    void *stopped_data;
};

/* libwebsockets has one log function a process, without data of the caller's. */
static const struct log *lws_log;

static void emit_lws_line(int level, const char *line)
{
    cleanup_free char *text = strndup(line, strcspn(line, "\n"));

    if (text)
        log_line(lws_log, level == LLL_ERR ? LOG_ERROR_ : LOG_DEBUG_, "libwebsockets",
                 json_pack("{s:s}", "detail", text));
}

static void check_stopped(void *data)
{
    struct server *server = data;

    if (server->exchanges.stopping && server->exchanges.open == 0)
        uv_async_send(&server->stop_check);
}

/* ---- TLS ----------------------------------------------------------------------------------- */

/* API servers keep their connections and resume none (Go's client has no session cache unless it
 * is given one): tickets would cost a handshake a fifth of its time for nothing. */
static int set_up_tls(struct server *server, SSL_CTX *tls)
{
    server->tls = tls;
    SSL_CTX_set_num_tickets(tls, 0);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(tls, SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (SSL_CTX_set1_groups_list(tls, GROUPS) != 1 ||
        SSL_CTX_set_ciphersuites(tls, CIPHER_SUITES) != 1)
        return -1;
    return identity_use(server->identity, tls, NULL) < 0 ? -1 : 0;
}

/* ---- libwebsockets ------------------------------------------------------------------------- */

/* Of what a client doesn't read, the kernel would keep megabytes, which count as the webhook's. */
static int bound_unsent(int fd)
{
    static const int size = READ_SIZE;

    return setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &size, sizeof size);
}

static struct connection *connection_of(struct lws *wsi)
{
    return lws_get_opaque_user_data(wsi);
}

/* Whoever has to go for a newcomer goes at once: later it may have set itself another time. */
static int welcome(struct exchanges *exchanges, struct lws *wsi)
{
    struct connections *all = &exchanges->connections;
    uint64_t now_ms = exchanges_now_ms();
    struct connection *newcomer = connection_new(all, wsi, now_ms), *surplus;

    if (!newcomer)
        return -1;
    lws_set_opaque_user_data(wsi, newcomer);
    surplus = connections_surplus(all, newcomer, now_ms);
    if (surplus == newcomer)
        return -1;
    if (surplus) {
        connection_enter(all, surplus, CONNECTION_GOING, now_ms);
        lws_set_timeout(surplus->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
    }
    return 0;
}

static void forget(struct exchanges *exchanges, struct lws *wsi)
{
    exchange_leave(connection_of(wsi));
    connection_free(&exchanges->connections, connection_of(wsi));
    lws_set_opaque_user_data(wsi, NULL);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct server *server = lws_context_user(lws_get_context(wsi));

    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        return set_up_tls(server, user);
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        return server->exchanges.stopping ? -1 : bound_unsent((int)(intptr_t)in);
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        return welcome(&server->exchanges, wsi);
    case LWS_CALLBACK_WSI_DESTROY:
        forget(&server->exchanges, wsi);
        return 0;
    case LWS_CALLBACK_HTTP:
        return exchange_start(&server->exchanges, connection_of(wsi), in);
    case LWS_CALLBACK_HTTP_BODY:
        return exchange_body(connection_of(wsi), in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return exchange_body_end(connection_of(wsi));
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return exchange_write(connection_of(wsi));
    case LWS_CALLBACK_TIMER: /* not cancelled when the answer is out: in 4.1.6 that fires it */
        return exchange_expire(connection_of(wsi));
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        exchange_leave(connection_of(wsi));
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "http", .callback = on_event},
    {0},
};

/* A node whose kernel was started without it has IPv4 alone. */
static bool kernel_has_ipv6(void)
{
    cleanup_close int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0;
}

static struct lws_context_creation_info make_info(struct server *server)
{
    const struct server_spec *spec = server->spec;
    bool every = !*spec->address || strcmp(spec->address, "::") == 0;
    bool any = every || strcmp(spec->address, "0.0.0.0") == 0;
    bool ipv4 = every ? !kernel_has_ipv6() : strchr(spec->address, ':') == NULL;

    return (struct lws_context_creation_info){
        .port = spec->port,
        .iface = any ? NULL : spec->address,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX |
                   (ipv4 ? LWS_SERVER_OPTION_DISABLE_IPV6 : 0),
        .user = server,
        .pcontext = &server->context,
        .alpn = "http/1.1", /* a POST over HTTP/2 is broken in 4.1.6 */
        .ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2,
        .timeout_secs = spec->limits.network_s,
        .timeout_secs_ah_idle = spec->limits.network_s,
        .keepalive_timeout = spec->limits.idle_s,
        .fd_limit_per_thread = spec->limits.connections + FDS_BESIDE,
        .pt_serv_buf_size = READ_SIZE,
        .max_http_header_data2 = HEADER_MAX,
        .max_http_header_pool2 = spec->limits.connections + FDS_BESIDE,
        .server_string = "gitgate-webhook",
        .gid = -1,
        .uid = -1,
    };
}

static int create_context(struct server *server, struct error *err)
{
    struct lws_context_creation_info info = make_info(server);
    void *loops[] = {server->loop};

    info.foreign_loops = loops;
    lws_log = server->spec->log;
    lws_set_log_level(LLL_ERR | LLL_WARN, emit_lws_line);
    server->context = lws_create_context(&info);
    return server->context ? 0 : error_set(err, -ENOMEM, "cannot begin to serve");
}

static int listen_with(struct server *server, const struct identity *identity, struct error *err)
{
    struct lws_context_creation_info info = make_info(server);

    server->identity = identity;
    server->vhost = lws_create_vhost(server->context, &info);
    server->identity = NULL;
    if (!server->vhost)
        return error_set(
            err, -EADDRINUSE,
            "cannot listen on %s port %u: is it another program's, or not of this host?",
            *server->spec->address ? server->spec->address : "any address,", server->spec->port);
    return 0;
}

int server_set_identity(struct server *server, const struct identity *identity, struct error *err)
{
    if (server->vhost)
        return identity_use(identity, server->tls, err);
    return server->exchanges.stopping ? 0 : listen_with(server, identity, err);
}

bool server_listens(const struct server *server)
{
    return server->vhost != NULL;
}

static void on_stop_check(uv_async_t *handle);

static void on_handle_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;

    if (--server->closing == 0 && server->stopped)
        server->stopped(server->stopped_data);
}

/* libwebsockets closes its handles on the loop, and is to be called again when it has: server_free.
 */
static void destroy(struct server *server)
{
    server->destroying = true;
    server->closing = 2;
    uv_close((uv_handle_t *)&server->stop_timer, on_handle_closed);
    uv_close((uv_handle_t *)&server->stop_check, on_handle_closed);
    if (server->context)
        lws_context_destroy(server->context);
}

void server_free(struct server *server)
{
    if (!server)
        return;
    if (server->context)
        lws_context_destroy(server->context);
    free(server);
}

int server_new(uv_loop_t *loop, const struct server_spec *spec, struct server **ret,
               struct error *err)
{
    struct server *server = calloc(1, sizeof *server);
    int r;

    if (!server)
        return error_set(err, -ENOMEM, "out of memory");
    server->spec = spec;
    server->exchanges = (struct exchanges){.spec = spec, .closed = check_stopped, .data = server};
    exchanges_init(&server->exchanges);
    server->loop = loop;
    server->stop_timer.data = server->stop_check.data = server;
    uv_timer_init(loop, &server->stop_timer);
    uv_async_init(loop, &server->stop_check, on_stop_check);
    r = create_context(server, err);
    if (r < 0) {
        destroy(server);
        uv_run(loop, UV_RUN_DEFAULT);
        server_free(server);
        return r;
    }
    *ret = server;
    return 0;
}

uint16_t server_port(const struct server *server)
{
    return (uint16_t)lws_get_vhost_listen_port(server->vhost);
}

static void on_stop_timeout(uv_timer_t *handle)
{
    struct server *server = handle->data;

    if (!server->destroying)
        destroy(server);
}

/* From the loop, because the last exchange ends within one of libwebsockets' own calls. */
static void on_stop_check(uv_async_t *handle)
{
    struct server *server = handle->data;

    if (server->exchanges.stopping && server->exchanges.open == 0 && !server->destroying)
        destroy(server);
}

void server_stop(struct server *server, void (*stopped)(void *data), void *data)
{
    server->exchanges.stopping = true;
    server->stopped = stopped;
    server->stopped_data = data;
    uv_timer_start(&server->stop_timer, on_stop_timeout, STOP_TIMEOUT_MS, 0);
    check_stopped(server);
}
