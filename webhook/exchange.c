#include "exchange.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"

/* As controller-runtime: an object of etcd's 1.5 MiB, twice, escaped. */
#define BODY_MAX (7u << 20)
/* Read and dropped so that the refusal arrives; beyond it is a cut. */
#define DRAIN_MAX (128u << 20)

#define HEAD_MAX 512 /* of an answer: six short lines */
#define HEAD_ROOM (LWS_PRE + HEAD_MAX)
/* Of an answer, what is given to libwebsockets at once: it keeps what the client doesn't take. The
 * largest TLS record, so most answers are one record and one packet. */
#define PIECE_MAX 16384

static const char too_large[] = "the request is larger than 7 MiB";
static const char too_many[] = "too many requests are being read: try again";

struct exchange {
    struct exchanges *all;
    struct lws *wsi; /* NULL when the client has gone */
    const struct server_route *route;
    struct holding holding; /* the body's, then the answer's */
    struct buf body;
    int refused; /* status that the request gets when it has been read, or 0 */
    const char *reason;
    uint64_t left; /* of the body, in bytes, read or dropped */
    bool timed;    /* its time runs */
    bool handed;   /* to the handler, whose answer is awaited */
    bool in_call;  /* of libwebsockets for it: an answer is written there */
    bool close;    /* the connection ends with the answer */
    int status;
    const char *content_type;
    struct buf answer; /* HEAD_ROOM bytes, the head at their end, then the body */
    size_t written;    /* of the answer: where the next piece begins; 0: the head isn't made */
    lws_usec_t answered;
};

/* ---- Life ---------------------------------------------------------------------------------- */

static struct exchange *exchange_new(struct exchanges *all, struct lws *wsi)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    if (!exchange)
        return NULL;
    exchange->all = all;
    exchange->wsi = wsi;
    exchange->body = BUF_INIT(BODY_MAX);
    exchange->answer = BUF_INIT(ROOM_MAX);
    all->open++;
    return exchange;
}

static void refuse(struct exchange *exchange, int status, const char *reason)
{
    exchange->refused = status;
    exchange->reason = reason;
}

static void drop_body(struct exchange *exchange)
{
    room_leave(&exchange->all->room, &exchange->holding);
    buf_done(&exchange->body);
}

static void exchange_free(struct exchange *exchange)
{
    struct exchanges *all = exchange->all;

    all->open--;
    drop_body(exchange);
    buf_done(&exchange->answer);
    free(exchange);
    all->closed(all->data);
}

static void enter(struct exchanges *all, struct connection *connection, enum connection_state state)
{
    connection_enter(&all->connections, connection, state, exchanges_now_ms());
}

void exchange_leave(struct connection *connection)
{
    struct exchange *exchange = connection ? TAKE_PTR(connection->exchange) : NULL;

    if (!exchange)
        return;
    exchange->wsi = NULL;
    enter(exchange->all, connection, CONNECTION_IDLE);
    if (!exchange->handed)
        exchange_free(exchange);
}

int exchange_expire(struct connection *connection)
{
    return connection && connection->exchange && connection->exchange->timed ? -1 : 0;
}

static struct exchange *exchange_of(struct holding *holding)
{
    return (struct exchange *)(void *)((char *)holding - offsetof(struct exchange, holding));
}

/* Another needs the room. A client that has still to send its body is told so; one that doesn't
 * read can't be told, and goes. */
static void give_way(struct holding *holding)
{
    struct exchange *exchange = exchange_of(holding);

    if (holding->kind == HOLDING_COMING) {
        refuse(exchange, 503, too_many);
    } else {
        buf_done(&exchange->answer);
        exchange->timed = true;
        lws_set_timer_usecs(exchange->wsi, 1);
    }
    drop_body(exchange);
}

void exchanges_init(struct exchanges *exchanges)
{
    connections_init(&exchanges->connections, exchanges->spec->limits.connections);
    room_init(&exchanges->room, give_way);
}

/* ---- The answer ---------------------------------------------------------------------------- */

/* Room for the answer instead of the body; without it buf_error tells, and the connection ends. */
static void keep_answer(struct exchange *exchange, const char *body, size_t len)
{
    struct room *room = &exchange->all->room;
    struct buf *answer = &exchange->answer;

    drop_body(exchange);
    if (!room_enter(room, &exchange->holding, HOLDING_ANSWER, HEAD_ROOM + len + ROOM_UNREAD,
                    exchanges_now_ms()) ||
        !buf_reserve(answer, HEAD_ROOM + len)) {
        answer->err = -ENOMEM;
        return;
    }
    answer->len = HEAD_ROOM;
    buf_add(answer, body, len);
}

void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     const char *body, size_t len)
{
    exchange->handed = false;
    if (!exchange->wsi) {
        exchange_free(exchange);
        return;
    }
    exchange->status = status;
    exchange->content_type = content_type;
    exchange->answered = lws_now_usecs();
    keep_answer(exchange, body, len);
    if (!exchange->in_call)
        lws_callback_on_writable(exchange->wsi);
}

static void answer_text(struct exchange *exchange, int status, const char *text)
{
    cleanup_buf struct buf line = BUF_INIT(512);

    buf_addf(&line, "%s\n", text);
    exchange_answer(exchange, status, "text/plain; charset=utf-8", line.data, line.len);
}

static int make_head(struct exchange *exchange, struct lws *wsi, unsigned char *start, size_t *len)
{
    static const char close_text[] = "close";
    unsigned char *p = start, *end = start + HEAD_MAX;

    if (lws_add_http_common_headers(wsi, (unsigned)exchange->status, exchange->content_type,
                                    exchange->answer.len - HEAD_ROOM, &p, end))
        return -1;
    if (exchange->close &&
        lws_add_http_header_by_token(wsi, WSI_TOKEN_CONNECTION, (const unsigned char *)close_text,
                                     sizeof close_text - 1, &p, end))
        return -1;
    if (lws_finalize_http_header(wsi, &p, end))
        return -1;
    *len = (size_t)(p - start);
    return 0;
}

static int write_head(struct exchange *exchange, struct lws *wsi)
{
    unsigned char head[HEAD_MAX];
    size_t len;

    if (make_head(exchange, wsi, head, &len) < 0)
        return -1;
    exchange->written = HEAD_ROOM - len;
    memcpy(exchange->answer.data + exchange->written, head, len);
    return 0;
}

/* As much as the socket takes. libwebsockets may write in the LWS_PRE bytes before a piece: they
 * have gone out, or are nothing's yet. */
static int write_pieces(struct exchange *exchange, struct lws *wsi)
{
    const struct buf *answer = &exchange->answer;

    while (exchange->written < answer->len) {
        size_t left = answer->len - exchange->written, n = left < PIECE_MAX ? left : PIECE_MAX;
        unsigned char *piece = (unsigned char *)answer->data + exchange->written;

        if (lws_write(wsi, piece, n, n == left ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
            return -1;
        exchange->written += n;
        if (n < left && (lws_partial_buffered(wsi) || lws_send_pipe_choked(wsi)))
            break;
    }
    return 0;
}

static bool is_out(const struct exchange *exchange, struct lws *wsi)
{
    return exchange->written == exchange->answer.len && !lws_partial_buffered(wsi);
}

/* The client has read something, or this is the first time. It has so long for the next piece, and
 * in all no longer than a request. */
static int await_reader(struct exchange *exchange, struct lws *wsi)
{
    const struct server_limits *limits = &exchange->all->spec->limits;
    lws_usec_t wait = limits->network_s * LWS_US_PER_SEC;
    lws_usec_t left = exchange->answered + limits->request_s * LWS_US_PER_SEC - lws_now_usecs();

    if (left <= 0)
        return -1;
    room_read(&exchange->all->room, &exchange->holding, exchanges_now_ms());
    exchange->timed = true;
    lws_set_timer_usecs(wsi, wait < left ? wait : left);
    lws_callback_on_writable(wsi);
    return 0;
}

int exchange_write(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    struct lws *wsi = connection->wsi;
    bool end;

    if (!exchange || !exchange->status)
        return 0;
    if (buf_error(&exchange->answer) || exchange->answer.len == 0) /* no room, or no more */
        return -1;
    if (exchange->written == 0) {
        exchange->close = exchange->close || exchange->all->stopping;
        if (write_head(exchange, wsi) < 0)
            return -1;
    }
    if (write_pieces(exchange, wsi) < 0)
        return -1;
    if (!is_out(exchange, wsi)) {
        enter(exchange->all, connection, CONNECTION_ASKING);
        return await_reader(exchange, wsi);
    }
    end = exchange->close;
    exchange_leave(connection);
    return lws_http_transaction_completed(wsi) || end ? -1 : 0;
}

/* ---- The request --------------------------------------------------------------------------- */

static bool header(struct lws *wsi, enum lws_token_indexes token, char *to, int size)
{
    return lws_hdr_copy(wsi, to, size, token) > 0;
}

static const struct server_route *find_route(const struct exchange *exchange, const char *path)
{
    for (const struct server_route *route = exchange->all->spec->routes; route->path; route++)
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

/* Room for the body at once, or none. */
static void reserve(struct exchange *exchange, size_t len)
{
    if (!room_enter(&exchange->all->room, &exchange->holding, HOLDING_COMING, len,
                    exchanges_now_ms()) ||
        !buf_reserve(&exchange->body, len)) {
        refuse(exchange, 503, too_many);
        drop_body(exchange);
    }
}

/* What can be said of a POST before its body has come. Its length in `*len`. */
static void judge_post(struct exchange *exchange, struct lws *wsi, const char *path, uint64_t *len)
{
    char length[32];

    *len = 0;
    exchange->route = find_route(exchange, path);
    if (!header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length, sizeof length) ||
        parse_u64(length, UINT64_MAX, len) < 0) {
        exchange->close = true; /* nobody knows where the next request begins */
        refuse(exchange, 411, "the request needs a content-length");
    } else if (!exchange->route)
        refuse(exchange, 404, "no such path");
    else if (!is_json(wsi))
        refuse(exchange, 415, "the request's content-type must be application/json");
    else if (*len > BODY_MAX)
        refuse(exchange, 413, too_large);
    else if (*len == 0)
        refuse(exchange, 400, "the request has no body");
    else
        reserve(exchange, *len);
}

static void start_post(struct exchange *exchange, struct lws *wsi, const char *path)
{
    uint64_t len;

    judge_post(exchange, wsi, path, &len);
    exchange->left = len;
    if (len > DRAIN_MAX)
        exchange->close = true;
    if (len > 0 && len <= DRAIN_MAX)
        return; /* the body comes */
    answer_text(exchange, exchange->refused, exchange->reason);
}

static void start_get(struct exchange *exchange, const char *path)
{
    const struct server_spec *spec = exchange->all->spec;

    if (strcmp(path, "/healthz") == 0)
        answer_text(exchange, 200, "ok");
    else if (strcmp(path, "/readyz") != 0)
        answer_text(exchange, find_route(exchange, path) ? 405 : 404,
                    find_route(exchange, path) ? "POST only" : "no such path");
    else if (spec->ready(spec->data) && !exchange->all->stopping)
        answer_text(exchange, 200, "ok");
    else
        answer_text(exchange, 503, "not ready");
}

int exchange_start(struct exchanges *exchanges, struct connection *connection, const char *path)
{
    struct lws *wsi = connection->wsi;
    struct exchange *exchange = exchange_new(exchanges, wsi);

    if (!exchange)
        return -1;
    connection->exchange = exchange;
    enter(exchanges, connection, CONNECTION_ASKING);
    exchange->in_call = true;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0) {
        start_post(exchange, wsi, path);
    } else if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0) {
        start_get(exchange, path);
    } else {
        exchange->close = true; /* its body, if any, is not read */
        answer_text(exchange, 405, "POST only");
    }
    exchange->in_call = false;
    if (exchange->status)
        lws_callback_on_writable(wsi);
    return 0;
}

/* Most bodies come whole behind their header; those that don't have their time from here on. That
 * one that doesn't begin ends, libwebsockets sees to. */
static void time_body(struct exchange *exchange, size_t len)
{
    exchange->left -= len < exchange->left ? len : exchange->left;
    if (exchange->left == 0 || exchange->timed)
        return;
    exchange->timed = true;
    lws_set_timer_usecs(exchange->wsi, exchange->all->spec->limits.request_s * LWS_US_PER_SEC);
}

int exchange_body(struct connection *connection, const char *bytes, size_t len)
{
    struct exchange *exchange = connection->exchange;

    if (!exchange)
        return -1;
    time_body(exchange, len);
    if (!exchange->refused)
        buf_add(&exchange->body, bytes, len);
    if (buf_error(&exchange->body) && !exchange->refused)
        refuse(exchange, 413, too_large);
    return 0;
}

int exchange_body_end(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    if (!exchange)
        return -1;
    if (exchange->status) /* answered without it */
        return 0;
    room_whole(&exchange->all->room, &exchange->holding);
    exchange->in_call = true;
    if (exchange->refused) {
        answer_text(exchange, exchange->refused, exchange->reason);
    } else {
        exchange->handed = true;
        enter(exchange->all, connection, CONNECTION_AT_WORK);
        exchange->route->handle(exchange->route->data, exchange, exchange->body.data,
                                exchange->body.len);
    }
    exchange->in_call = false;
    return exchange_write(connection);
}
