#include "exchange.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"

/* As controller-runtime: an object of etcd's 1.5 MiB, twice, escaped. */
#define BODY_MAX (7u << 20)
/* All bodies together. It leaves room for the rest below the deployment's memory limit. */
#define BODIES_MAX (48u << 20)
/* Read and dropped so that the refusal arrives; beyond it is a cut. */
#define DRAIN_MAX (128u << 20)

#define HEAD_MAX 512 /* of an answer: six short lines */
#define ANSWER_MAX (64u << 20)

static const char too_large[] = "the request is larger than 7 MiB";
static const char too_many[] = "too many requests are being read: try again";

struct exchange {
    struct exchanges *all;
    struct lws *wsi; /* NULL when the client has gone */
    const struct server_route *route;
    struct buf body;
    size_t body_size; /* its part of all->body_size */
    bool reading;     /* in all->reading, as `next` says */
    LIST_ENTRY(exchange) next;
    int refused; /* status that the request gets when it has been read, or 0 */
    const char *reason;
    uint64_t left; /* of the body, in bytes, read or dropped */
    bool timed;    /* its time runs */
    bool handed;   /* to the handler, whose answer is awaited */
    bool in_call;  /* of libwebsockets for it: an answer is written there */
    bool close;    /* the connection ends with the answer */
    int status;
    const char *content_type;
    struct buf answer; /* room for LWS_PRE and the head, then the body */
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
    exchange->answer = BUF_INIT(LWS_PRE + HEAD_MAX + ANSWER_MAX);
    all->open++;
    return exchange;
}

static void stop_reading(struct exchange *exchange)
{
    if (exchange->reading)
        LIST_REMOVE(exchange, next);
    exchange->reading = false;
}

static void drop_body(struct exchange *exchange)
{
    stop_reading(exchange);
    exchange->all->body_size -= exchange->body_size;
    exchange->body_size = 0;
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

void exchange_leave(struct session *session)
{
    struct exchange *exchange = session ? TAKE_PTR(session->exchange) : NULL;

    if (!exchange)
        return;
    exchange->wsi = NULL;
    if (!exchange->handed)
        exchange_free(exchange);
}

int exchange_expire(struct session *session)
{
    return session && session->exchange && session->exchange->timed ? -1 : 0;
}

/* ---- The answer ---------------------------------------------------------------------------- */

void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     const char *body, size_t len)
{
    struct buf *answer = &exchange->answer;

    exchange->handed = false;
    if (!exchange->wsi) {
        exchange_free(exchange);
        return;
    }
    exchange->status = status;
    exchange->content_type = content_type;
    if (buf_reserve(answer, LWS_PRE + HEAD_MAX + len)) {
        answer->len = LWS_PRE + HEAD_MAX;
        buf_add(answer, body, len);
    }
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
                                    exchange->answer.len - LWS_PRE - HEAD_MAX, &p, end))
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

/* Head and body as one write: one TLS record and one packet, for most. What the socket does not
 * take at once libwebsockets keeps. */
static int write_whole(struct exchange *exchange, struct lws *wsi)
{
    unsigned char head[HEAD_MAX], *start;
    size_t head_len, len;

    if (buf_error(&exchange->answer) || make_head(exchange, wsi, head, &head_len) < 0)
        return -1;
    start = (unsigned char *)exchange->answer.data + LWS_PRE + HEAD_MAX - head_len;
    memcpy(start, head, head_len);
    len = exchange->answer.len - LWS_PRE - HEAD_MAX + head_len;
    return lws_write(wsi, start, len, LWS_WRITE_HTTP_FINAL) < (int)len ? -1 : 0;
}

int exchange_write(struct session *session, struct lws *wsi)
{
    struct exchange *exchange = session->exchange;
    bool end;

    if (!exchange || !exchange->status)
        return 0;
    exchange->close = exchange->close || exchange->all->stopping;
    if (write_whole(exchange, wsi) < 0)
        return -1;
    end = exchange->close;
    exchange_leave(session);
    return lws_http_transaction_completed(wsi) || end ? -1 : 0;
}

/* ---- The request --------------------------------------------------------------------------- */

static void refuse(struct exchange *exchange, int status, const char *reason)
{
    exchange->refused = status;
    exchange->reason = reason;
}

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

static struct exchange *largest_reading(const struct exchanges *all)
{
    struct exchange *exchange, *largest = NULL;

    LIST_FOREACH(exchange, &all->reading, next)
        if (!largest || exchange->body_size > largest->body_size)
            largest = exchange;
    return largest;
}

/* Whoever reaches the port may announce large bodies and send nothing more, with no certificate: a
 * few would keep the API server's reviews out. So the largest that isn't whole gives way to a
 * smaller one. */
static bool make_room(struct exchanges *all, size_t len)
{
    while (len > BODIES_MAX - all->body_size) {
        struct exchange *largest = largest_reading(all);

        if (!largest || largest->body_size <= len)
            return false;
        refuse(largest, 503, too_many);
        drop_body(largest);
    }
    return true;
}

/* Room for the body at once, or none. */
static void reserve(struct exchange *exchange, size_t len)
{
    struct exchanges *all = exchange->all;

    if (!make_room(all, len) || !buf_reserve(&exchange->body, len)) {
        refuse(exchange, 503, too_many);
        return;
    }
    exchange->body_size = len;
    all->body_size += len;
    LIST_INSERT_HEAD(&all->reading, exchange, next);
    exchange->reading = true;
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

int exchange_start(struct exchanges *exchanges, struct session *session, struct lws *wsi,
                   const char *path)
{
    struct exchange *exchange = exchange_new(exchanges, wsi);

    if (!exchange)
        return -1;
    session->exchange = exchange;
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

int exchange_body(struct session *session, const char *bytes, size_t len)
{
    struct exchange *exchange = session->exchange;

    if (!exchange)
        return -1;
    time_body(exchange, len);
    if (!exchange->refused)
        buf_add(&exchange->body, bytes, len);
    if (buf_error(&exchange->body) && !exchange->refused)
        refuse(exchange, 413, too_large);
    return 0;
}

int exchange_body_end(struct session *session, struct lws *wsi)
{
    struct exchange *exchange = session->exchange;

    if (!exchange)
        return -1;
    if (exchange->status) /* answered without it */
        return 0;
    stop_reading(exchange);
    exchange->in_call = true;
    if (exchange->refused) {
        answer_text(exchange, exchange->refused, exchange->reason);
    } else {
        exchange->handed = true;
        exchange->route->handle(exchange->route->data, exchange, exchange->body.data,
                                exchange->body.len);
    }
    exchange->in_call = false;
    return exchange_write(session, wsi);
}
