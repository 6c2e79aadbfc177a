#include "server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"

#define BODY_MAX                                                                                   \
    (7u << 20) /* as controller-runtime: an object of etcd's 1.5 MiB, twice, escaped               \
                */
#define DRAIN_MAX                                                                                  \
    (32u << 20) /* read and dropped so that the refusal arrives; beyond it is a cut                \
                 */
#define ANSWER_MAX (64u << 20)

/* TLS hello, request header and every wait within a body; the API server waits 30 s at most. */
#define NETWORK_TIMEOUT_S 10
/* From the header's end to the answer's: a body that trickles must end too. */
#define REQUEST_TIMEOUT_US (30 * LWS_US_PER_SEC)
/* Longer than the API server's 90 s (Go's IdleConnTimeout): were the server the first to close, a
 * request just sent would be lost, and with it an admission. */
#define IDLE_TIMEOUT_S 120
/* What is under way when the server stops has this long: half of a pod's default grace period. */
#define STOP_TIMEOUT_MS 15000

#define CONNECTIONS_MAX 1024 /* API servers keep tens; each idle one costs about 30 kB */
/* The largest TLS record (RFC 8446, section 5.1). Of a smaller read the rest would stay in OpenSSL,
 * where no socket event tells of it: 4.1.6 then waits for ever on a libuv loop. */
#define READ_SIZE 16384
#define HEADER_MAX 8192 /* the API server sends a few hundred bytes */

struct exchange {
    struct server *server;
    struct lws *wsi; /* NULL when the client has gone */
    const struct server_route *route;
    struct buf body;
    int refused; /* status that the request gets when it has been read, or 0 */
    const char *reason;
    bool handed; /* to the handler, whose answer is awaited */
    bool close;  /* the connection ends with the answer */
    int status;
    const char *content_type;
    struct buf answer;
};

/* libwebsockets' memory for a connection, zeroed. */
struct session {
    struct exchange *exchange;
};

struct server {
    const struct server_spec *spec;
    struct lws_context *context;
    struct lws_vhost *vhost;
    uv_loop_t *loop;
    size_t open; /* exchanges */
    bool stopping, destroying;
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

static void check_stopped(struct server *server)
{
    if (server->stopping && server->open == 0)
        uv_async_send(&server->stop_check);
}

static struct exchange *exchange_new(struct server *server, struct lws *wsi)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    if (!exchange)
        return NULL;
    exchange->server = server;
    exchange->wsi = wsi;
    exchange->body = BUF_INIT(BODY_MAX);
    exchange->answer = BUF_INIT(LWS_PRE + ANSWER_MAX);
    exchange->close = server->stopping;
    server->open++;
    return exchange;
}

static void exchange_free(struct exchange *exchange)
{
    exchange->server->open--;
    check_stopped(exchange->server);
    buf_done(&exchange->body);
    buf_done(&exchange->answer);
    free(exchange);
}

/* The client is through with it, or has gone; one that a handler has stays until it answers. */
static void leave(struct session *session)
{
    struct exchange *exchange = session ? TAKE_PTR(session->exchange) : NULL;

    if (!exchange)
        return;
    exchange->wsi = NULL;
    if (!exchange->handed)
        exchange_free(exchange);
}

void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     const char *body, size_t len)
{
    static const char room[LWS_PRE]; /* libwebsockets writes its framing before the data */

    exchange->handed = false;
    if (!exchange->wsi) {
        exchange_free(exchange);
        return;
    }
    exchange->status = status;
    exchange->content_type = content_type;
    buf_add(&exchange->answer, room, sizeof room);
    buf_add(&exchange->answer, body, len);
    lws_callback_on_writable(exchange->wsi);
}

static void answer_text(struct exchange *exchange, int status, const char *text)
{
    cleanup_buf struct buf line = BUF_INIT(512);

    buf_addf(&line, "%s\n", text);
    exchange_answer(exchange, status, "text/plain; charset=utf-8", line.data, line.len);
}

static void refuse(struct exchange *exchange, int status, const char *reason)
{
    exchange->refused = status;
    exchange->reason = reason;
}

static bool header(struct lws *wsi, enum lws_token_indexes token, char *to, int size)
{
    return lws_hdr_copy(wsi, to, size, token) > 0;
}

static const struct server_route *find_route(const struct server *server, const char *path)
{
    for (const struct server_route *route = server->spec->routes; route->path; route++)
        if (strcmp(route->path, path) == 0)
            return route;
    return NULL;
}

static bool is_json(struct lws *wsi)
{
    static const char json[] = "application/json";
    char type[128];

    if (!header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, type, sizeof type))
        return false;
    type[strcspn(type, " ;\t")] = '\0';
    return strcasecmp(type, json) == 0;
}

/* What can be said of a POST before its body has come. Its length in `*len`. */
static void judge_post(struct exchange *exchange, struct lws *wsi, const char *path, uint64_t *len)
{
    char length[32];

    *len = 0;
    exchange->route = find_route(exchange->server, path);
    if (!header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length, sizeof length) ||
        parse_u64(length, UINT64_MAX, len) < 0) {
        exchange->close = true; /* nobody knows where the next request begins */
        refuse(exchange, 411, "the request needs a content-length");
    } else if (!exchange->route)
        refuse(exchange, 404, "no such path");
    else if (!is_json(wsi))
        refuse(exchange, 415, "the request's content-type must be application/json");
    else if (*len > BODY_MAX)
        refuse(exchange, 413, "the request is larger than 7 MiB");
}

static int start_post(struct exchange *exchange, struct lws *wsi, const char *path)
{
    uint64_t len;

    judge_post(exchange, wsi, path, &len);
    if (len > DRAIN_MAX)
        exchange->close = true;
    if (len > 0 && len <= DRAIN_MAX)
        return 0; /* the body comes */
    if (!exchange->refused)
        refuse(exchange, 400, "the request has no body");
    answer_text(exchange, exchange->refused, exchange->reason);
    return 0;
}

static int start_get(struct exchange *exchange, const char *path)
{
    const struct server_spec *spec = exchange->server->spec;

    if (strcmp(path, "/healthz") == 0)
        answer_text(exchange, 200, "ok");
    else if (strcmp(path, "/readyz") != 0)
        answer_text(exchange, find_route(exchange->server, path) ? 405 : 404,
                    find_route(exchange->server, path) ? "POST only" : "no such path");
    else if (spec->ready(spec->data) && !exchange->server->stopping)
        answer_text(exchange, 200, "ok");
    else
        answer_text(exchange, 503, "not ready");
    return 0;
}

static int start_request(struct server *server, struct session *session, struct lws *wsi,
                         const char *path)
{
    session->exchange = exchange_new(server, wsi);
    if (!session->exchange)
        return -1;
    lws_set_timer_usecs(wsi, REQUEST_TIMEOUT_US);
    if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0)
        return start_post(session->exchange, wsi, path);
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0)
        return start_get(session->exchange, path);
    session->exchange->close = true; /* its body, if any, is not read */
    answer_text(session->exchange, 405, "POST only");
    return 0;
}

static int take_body(struct exchange *exchange, const char *bytes, size_t len)
{
    if (!exchange)
        return -1;
    if (!exchange->refused)
        buf_add(&exchange->body, bytes, len);
    if (buf_error(&exchange->body) && !exchange->refused)
        refuse(exchange, 413, "the request is larger than 7 MiB");
    return 0;
}

static int end_body(struct exchange *exchange)
{
    if (!exchange)
        return -1;
    if (exchange->status) /* answered without it */
        return 0;
    if (exchange->refused) {
        answer_text(exchange, exchange->refused, exchange->reason);
        return 0;
    }
    exchange->handed = true;
    exchange->route->handle(exchange->route->data, exchange, exchange->body.data,
                            exchange->body.len);
    return 0;
}

static int write_header(struct exchange *exchange, struct lws *wsi, size_t len)
{
    static const char close_text[] = "close";
    unsigned char space[LWS_PRE + 512], *p = space + LWS_PRE, *start = p;
    unsigned char *end = space + sizeof space - 1;

    if (lws_add_http_common_headers(wsi, (unsigned)exchange->status, exchange->content_type, len,
                                    &p, end))
        return -1;
    if (exchange->close &&
        lws_add_http_header_by_token(wsi, WSI_TOKEN_CONNECTION, (const unsigned char *)close_text,
                                     sizeof close_text - 1, &p, end))
        return -1;
    return lws_finalize_write_http_header(wsi, start, &p, end);
}

/* libwebsockets keeps what the socket does not take at once. */
static int write_answer(struct session *session, struct lws *wsi)
{
    struct exchange *exchange = session->exchange;
    size_t len;
    bool end;

    if (!exchange || !exchange->status)
        return 0;
    if (buf_error(&exchange->answer))
        return -1;
    len = exchange->answer.len - LWS_PRE;
    if (write_header(exchange, wsi, len) ||
        lws_write(wsi, (unsigned char *)exchange->answer.data + LWS_PRE, len,
                  LWS_WRITE_HTTP_FINAL) < (int)len)
        return -1;
    end = exchange->close;
    leave(session);
    return lws_http_transaction_completed(wsi) || end ? -1 : 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct session *session = user;
    struct server *server = lws_context_user(lws_get_context(wsi));

    switch (reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        return server->stopping ? -1 : 0;
    case LWS_CALLBACK_HTTP:
        return start_request(server, session, wsi, in);
    case LWS_CALLBACK_HTTP_BODY:
        return take_body(session->exchange, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return end_body(session->exchange);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return write_answer(session, wsi);
    case LWS_CALLBACK_TIMER: /* not cancelled when the answer is out: in 4.1.6 that fires it */
        return session && session->exchange ? -1 : 0;
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        leave(session);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "http", .callback = on_event, .per_session_data_size = sizeof(struct session)},
    {0},
};

/* Both files are tried together before libwebsockets loads them one after the other, because a
 * rotation may have written only one of them yet. */
static int check_pair(const char *cert, const char *key, struct error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int r = 0;

    if (!context)
        return error_set(err, -ENOMEM, "out of memory");
    if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        r = error_set(err, -EINVAL, "%s holds no usable certificate (PEM)", cert);
    else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        r = error_set(err, -EINVAL, "%s holds no usable key (PEM) for %s", key, cert);
    SSL_CTX_free(context);
    return r;
}

int server_reload(struct server *server, struct error *err)
{
    const struct server_spec *spec = server->spec;
    int r = check_pair(spec->cert_file, spec->key_file, err);

    if (r < 0)
        return r;
    if (lws_tls_cert_updated(server->context, spec->cert_file, spec->key_file, NULL, 0, NULL, 0))
        return error_set(err, -EINVAL, "cannot load %s", spec->cert_file);
    return 0;
}

static void on_stop_check(uv_async_t *handle);

static int create(struct server *server, struct error *err)
{
    const struct server_spec *spec = server->spec;
    bool ipv4 = strchr(spec->address, ':') == NULL;
    bool any = strcmp(spec->address, "0.0.0.0") == 0 || strcmp(spec->address, "::") == 0;
    void *loops[] = {server->loop};
    struct lws_context_creation_info info = {
        .port = spec->port,
        .iface = any ? NULL : spec->address,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   (ipv4 ? LWS_SERVER_OPTION_DISABLE_IPV6 : 0),
        .foreign_loops = loops,
        .user = server,
        .pcontext = &server->context,
        .alpn = "http/1.1", /* a POST over HTTP/2 is broken in 4.1.6 */
        .ssl_cert_filepath = spec->cert_file,
        .ssl_private_key_filepath = spec->key_file,
        .ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2,
        .timeout_secs = NETWORK_TIMEOUT_S,
        .timeout_secs_ah_idle = NETWORK_TIMEOUT_S,
        .keepalive_timeout = IDLE_TIMEOUT_S,
        .fd_limit_per_thread = CONNECTIONS_MAX,
        .pt_serv_buf_size = READ_SIZE,
        .max_http_header_data2 = HEADER_MAX,
        .max_http_header_pool2 = CONNECTIONS_MAX,
        .server_string = "gitgate-webhook",
        .gid = -1,
        .uid = -1,
    };

    lws_log = spec->log;
    lws_set_log_level(LLL_ERR | LLL_WARN, emit_lws_line);
    server->context = lws_create_context(&info);
    server->vhost = server->context ? lws_create_vhost(server->context, &info) : NULL;
    if (!server->vhost)
        return error_set(
            err, -EADDRINUSE,
            "cannot listen on %s port %u: is it another program's, or not of this host?",
            spec->address, spec->port);
    return 0;
}

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
    struct server *server;
    int r = check_pair(spec->cert_file, spec->key_file, err);

    if (r < 0)
        return r;
    server = calloc(1, sizeof *server);
    if (!server)
        return error_set(err, -ENOMEM, "out of memory");
    server->spec = spec;
    server->loop = loop;
    server->stop_timer.data = server->stop_check.data = server;
    uv_timer_init(loop, &server->stop_timer);
    uv_async_init(loop, &server->stop_check, on_stop_check);
    r = create(server, err);
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

    if (server->stopping && server->open == 0 && !server->destroying)
        destroy(server);
}

void server_stop(struct server *server, void (*stopped)(void *data), void *data)
{
    server->stopping = true;
    server->stopped = stopped;
    server->stopped_data = data;
    uv_timer_start(&server->stop_timer, on_stop_timeout, STOP_TIMEOUT_MS, 0);
    check_stopped(server);
}
