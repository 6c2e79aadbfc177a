#include "kube/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/parse.h"

#define CONNECT_TIMEOUT_MS 10000L
#define CONNECTIONS_KEPT 16L /* idle ones: the workers' and the watches' */
#define URL_MAX 16384        /* a continue token has a few hundred bytes */
#define REQUEST_MAX (8u << 20)
#define KEEPALIVE_IDLE_S 30L /* a peer that is gone without a word is noticed in a minute */
#define KEEPALIVE_INTERVAL_S 10L
#define TOKEN_AGE_MAX_MS 60000 /* the kubelet renews a token at 80 % of its life, >= 10 min */
#define RETRY_DEFAULT_MS 1000  /* 429 without Retry-After */

struct kube_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer; /* curl's one timer */
    struct kube_config config;
    uint64_t token_read_at; /* uv_now; only with config.token_file */
    struct kube_request *requests;
};

struct kube_request {
    struct kube_client *client;
    struct kube_request *next, **link; /* in client->requests */
    CURL *easy;
    struct curl_slist *headers;
    struct buf body, answer;
    char *what; /* "PATCH /api/...", for messages */
    kube_stream_fn stream;
    kube_done_fn done;
    void *data;
    uint64_t deadline; /* uv_now */
    uv_timer_t retry;
    struct kube_response response;
    struct error stream_err;
    char curl_error[CURL_ERROR_SIZE];
};

/* ---- Sockets and timer: curl's multi-socket interface on libuv ---------------------------- */

struct socket_watch {
    uv_poll_t poll;
    struct kube_client *client;
    curl_socket_t fd;
};

static void finish_completed(struct kube_client *client);

static void free_socket(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watch = poll->data;
    struct kube_client *client = watch->client;
    int running, flags = 0;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(client->multi, watch->fd, flags, &running);
    finish_completed(client);
}

static struct socket_watch *watch_socket(struct kube_client *client, curl_socket_t fd)
{
    struct socket_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    watch->client = client;
    watch->fd = fd;
    watch->poll.data = watch;
    if (uv_poll_init_socket(client->loop, &watch->poll, fd) < 0) {
        free(watch);
        return NULL;
    }
    curl_multi_assign(client->multi, fd, watch);
    return watch;
}

static int on_socket_change(CURL *easy, curl_socket_t fd, int action, void *data, void *socket_data)
{
    struct kube_client *client = data;
    struct socket_watch *watch = socket_data;
    int events = 0;

    (void)easy;
    if (action == CURL_POLL_REMOVE) {
        if (watch) {
            curl_multi_assign(client->multi, fd, NULL);
            uv_close((uv_handle_t *)&watch->poll, free_socket);
        }
        return 0;
    }
    if (!watch)
        watch = watch_socket(client, fd);
    if (!watch)
        return -1;
    if (action != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (action != CURL_POLL_IN)
        events |= UV_WRITABLE;
    return uv_poll_start(&watch->poll, events, on_socket);
}

static void on_timer(uv_timer_t *timer)
{
    struct kube_client *client = timer->data;
    int running;

    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_completed(client);
}

static int on_timer_change(CURLM *multi, long timeout_ms, void *data)
{
    struct kube_client *client = data;

    (void)multi;
    if (timeout_ms < 0)
        return uv_timer_stop(&client->timer);
    return uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0);
}

/* ---- The client --------------------------------------------------------------------------- */

static int copy_string(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

static int copy_config(struct kube_config *to, const struct kube_config *from)
{
    *to = KUBE_CONFIG_INIT;
    to->insecure = from->insecure;
    buf_add(&to->ca, from->ca.data, from->ca.len);
    buf_add(&to->cert, from->cert.data, from->cert.len);
    buf_add(&to->key, from->key.data, from->key.len);
    buf_add(&to->token, from->token.data, from->token.len);
    if (buf_error(&to->ca) || buf_error(&to->cert) || buf_error(&to->key) || buf_error(&to->token))
        return -ENOMEM;
    if (copy_string(&to->server, from->server) < 0 ||
        copy_string(&to->namespace_, from->namespace_) < 0 ||
        copy_string(&to->token_file, from->token_file) < 0)
        return -ENOMEM;
    return 0;
}

static void free_client(uv_handle_t *timer)
{
    struct kube_client *client = timer->data;

    kube_config_done(&client->config);
    free(client);
}

int kube_client_new(uv_loop_t *loop, const struct kube_config *config, struct kube_client **ret,
                    struct error *err)
{
    struct kube_client *client;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, -ENOMEM, "libcurl could not be set up");
    client = calloc(1, sizeof *client);
    if (!client)
        return error_set(err, -ENOMEM, "memory is short");
    client->loop = loop;
    uv_timer_init(loop, &client->timer);
    client->timer.data = client;
    client->token_read_at = uv_now(loop);
    client->multi = curl_multi_init();
    if (!client->multi || copy_config(&client->config, config) < 0) {
        kube_client_free(client);
        return error_set(err, -ENOMEM, "memory is short");
    }
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket_change);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    *ret = client;
    return 0;
}

void kube_client_free(struct kube_client *client)
{
    if (!client)
        return;
    while (client->requests)
        kube_request_cancel(client->requests);
    if (client->multi)
        curl_multi_cleanup(client->multi);
    uv_close((uv_handle_t *)&client->timer, free_client);
}

uv_loop_t *kube_client_loop(const struct kube_client *client)
{
    return client->loop;
}

/* A rotated token is picked up without a restart. A file that can't be read just now (the kubelet
 * swaps it) keeps the token that is there. */
static void renew_token(struct kube_client *client)
{
    struct buf token = BUF_INIT(KUBE_TOKEN_MAX);
    uint64_t now = uv_now(client->loop);

    if (!client->config.token_file || now - client->token_read_at < TOKEN_AGE_MAX_MS)
        return;
    client->token_read_at = now;
    if (file_read(client->config.token_file, &token, NULL) < 0 || !token.len) {
        buf_wipe(&token);
        return;
    }
    while (token.len && strchr(" \t\r\n", token.data[token.len - 1]))
        token.data[--token.len] = '\0';
    buf_wipe(&client->config.token);
    client->config.token = token;
}

/* The server refused the token: read the file again with the next request. */
static void expire_token(struct kube_client *client)
{
    client->token_read_at = uv_now(client->loop) - TOKEN_AGE_MAX_MS;
}

/* ---- Answers ------------------------------------------------------------------------------ */

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
    static const char name[] = "retry-after:";
    struct kube_request *request = data;
    size_t len = size * n, at = sizeof name - 1;
    char value[16] = "";
    uint64_t seconds;

    if (len > at && strncasecmp(line, name, at) == 0) {
        while (at < len && line[at] == ' ')
            at++;
        while (len > at && strchr("\r\n ", line[len - 1]))
            len--;
        if (len - at < sizeof value) {
            memcpy(value, line + at, len - at);
            /* The other form, a date, is not sent by API servers. */
            if (parse_u64(value, UINT32_MAX, &seconds) == 0)
                request->response.retry_after = seconds * 1000;
        }
    }
    return size * n;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *data)
{
    struct kube_request *request = data;
    size_t len = size * n;
    long status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    if (request->stream && status >= 200 && status < 300) {
        if (request->stream(request->data, bytes, len, &request->stream_err) < 0)
            return 0;
        return len;
    }
    buf_add(&request->answer, bytes, len);
    if (buf_error(&request->answer)) {
        error_set(&request->stream_err, buf_error(&request->answer),
                  "the answer has more than %zu bytes", request->answer.max);
        return 0;
    }
    return len;
}

static int code_of_status(int status)
{
    switch (status) {
    case 400:
    case 422:
        return -EINVAL;
    case 401:
        return -EACCES;
    case 403:
        return -EPERM;
    case 404:
        return -ENOENT;
    case 409:
        return -EEXIST;
    case 410:
        return -ESTALE;
    case 429:
        return -EAGAIN;
    case 504:
        return -ETIMEDOUT;
    default:
        return -EIO;
    }
}

/* A refusal's own words (https://kubernetes.io/docs/reference/generated/kubernetes-api/, Status).
 */
static void read_status(struct kube_request *request)
{
    struct kube_response *response = &request->response;
    json_auto_t *status = json_loadb(request->answer.data, request->answer.len, 0, NULL);
    const char *message = json_string_value(json_object_get(status, "message"));
    const char *reason = json_string_value(json_object_get(status, "reason"));
    json_int_t seconds = json_integer_value(
        json_object_get(json_object_get(status, "details"), "retryAfterSeconds"));

    if (reason)
        snprintf(response->reason, sizeof response->reason, "%s", reason);
    if (!response->retry_after && seconds > 0 && seconds < UINT32_MAX)
        response->retry_after = (uint64_t)seconds * 1000;
    error_set(&response->err, code_of_status(response->status), "%s: %s (HTTP %d)", request->what,
              message ? message : "no reason given", response->status);
}

static int code_of_curl(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return -ECONNREFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
        return -EACCES;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -ECONNRESET;
    }
}

static void describe_failure(struct kube_request *request, CURLcode code)
{
    struct kube_response *response = &request->response;

    response->body = "";
    if (request->stream_err.code) {
        response->err = request->stream_err;
        error_wrap(&response->err, request->stream_err.code, "%s", request->what);
        return;
    }
    error_set(&response->err, code_of_curl(code), "%s: %s", request->what,
              *request->curl_error ? request->curl_error : curl_easy_strerror(code));
}

static void read_answer(struct kube_request *request, CURLcode code)
{
    struct kube_response *response = &request->response;
    long status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    response->body = request->answer.data;
    response->len = request->answer.len;
    if (code != CURLE_OK)
        describe_failure(request, code);
    else if (status < 200 || status > 299)
        read_status(request);
    if (status == 401)
        expire_token(request->client);
}

/* ---- Requests ----------------------------------------------------------------------------- */

static void free_request(uv_handle_t *retry)
{
    struct kube_request *request = retry->data;

    buf_wipe(&request->body);
    buf_wipe(&request->answer);
    free(request->what);
    free(request);
}

void kube_request_cancel(struct kube_request *request)
{
    if (!request)
        return;
    if (request->link) {
        *request->link = request->next;
        if (request->next)
            request->next->link = request->link;
    }
    if (request->easy) {
        curl_multi_remove_handle(request->client->multi, request->easy);
        curl_easy_cleanup(request->easy);
    }
    curl_slist_free_all(request->headers);
    uv_close((uv_handle_t *)&request->retry, free_request);
}

static int add_header(struct kube_request *request, const char *name, const char *value)
{
    struct buf line = BUF_INIT(KUBE_TOKEN_MAX + 64);
    struct curl_slist *list = NULL;

    buf_addf(&line, "%s: %s", name, value);
    if (!buf_error(&line))
        list = curl_slist_append(request->headers, line.data);
    buf_wipe(&line);
    if (!list)
        return -ENOMEM;
    request->headers = list;
    return 0;
}

static int set_headers(struct kube_request *request, const struct kube_request_spec *spec)
{
    struct kube_client *client = request->client;
    struct buf bearer = BUF_INIT(KUBE_TOKEN_MAX + 16);
    int r = add_header(request, "Accept", spec->accept ? spec->accept : "application/json");

    if (r == 0 && spec->content_type)
        r = add_header(request, "Content-Type", spec->content_type);
    if (r == 0 && spec->body_len)
        r = add_header(request, "Expect", ""); /* else large bodies wait for a 100 */
    if (r == 0 && client->config.token.len) {
        buf_addf(&bearer, "Bearer %s", client->config.token.data);
        r = buf_error(&bearer) ? -ENOMEM : add_header(request, "Authorization", bearer.data);
        buf_wipe(&bearer);
    }
    curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
    return r;
}

static void set_blob(CURL *easy, CURLoption option, const struct buf *pem)
{
    struct curl_blob blob = {.data = pem->data, .len = pem->len, .flags = CURL_BLOB_NOCOPY};

    if (pem->len)
        curl_easy_setopt(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct kube_config *config)
{
    set_blob(easy, CURLOPT_CAINFO_BLOB, &config->ca);
    set_blob(easy, CURLOPT_SSLCERT_BLOB, &config->cert);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, &config->key);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (config->insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void set_transport(struct kube_request *request, uint64_t timeout_ms)
{
    CURL *easy = request->easy;

    /* HTTP/2 of Debian 12's libcurl reports some aborted bodies as complete. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* paths are encoded: never squeezed */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "gitgate/" GITGATE_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->curl_error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    set_tls(easy, &request->client->config);
}

static int set_target(struct kube_request *request, const struct kube_request_spec *spec)
{
    cleanup_buf struct buf url = BUF_INIT(URL_MAX);

    buf_addf(&url, "%s%s%s%s", request->client->config.server, spec->path, spec->query ? "?" : "",
             spec->query ? spec->query : "");
    if (buf_error(&url) || asprintf(&request->what, "%s %s", spec->method, spec->path) < 0)
        return -ENOMEM;
    curl_easy_setopt(request->easy, CURLOPT_URL, url.data);
    curl_easy_setopt(request->easy, CURLOPT_CUSTOMREQUEST, spec->method);
    if (spec->body_len) {
        buf_add(&request->body, spec->body, spec->body_len);
        curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, request->body.data);
        curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->body_len);
    }
    return buf_error(&request->body) ? -ENOMEM : 0;
}

static struct kube_request *request_new(struct kube_client *client,
                                        const struct kube_request_spec *spec)
{
    struct kube_request *request = calloc(1, sizeof *request);

    if (!request)
        return NULL;
    request->client = client;
    request->body = BUF_INIT(REQUEST_MAX);
    request->answer = BUF_INIT(spec->max_response ? spec->max_response : KUBE_RESPONSE_MAX);
    request->stream = spec->stream;
    request->done = spec->done;
    request->data = spec->data;
    uv_timer_init(client->loop, &request->retry);
    request->retry.data = request;
    request->easy = curl_easy_init();
    return request;
}

struct kube_request *kube_request_start(struct kube_client *client,
                                        const struct kube_request_spec *spec, struct error *err)
{
    uint64_t timeout_ms = spec->timeout_ms ? spec->timeout_ms : KUBE_TIMEOUT_MS;
    struct kube_request *request = request_new(client, spec);

    if (!request) {
        error_set(err, -ENOMEM, "memory is short");
        return NULL;
    }
    uv_update_time(client->loop);
    request->deadline = uv_now(client->loop) + timeout_ms;
    renew_token(client);
    if (!request->easy || set_target(request, spec) < 0 || set_headers(request, spec) < 0)
        goto fail;
    set_transport(request, timeout_ms);
    if (curl_multi_add_handle(client->multi, request->easy) != CURLM_OK)
        goto fail;
    request->next = client->requests;
    request->link = &client->requests;
    if (request->next)
        request->next->link = &request->next;
    client->requests = request;
    return request;

fail:
    error_set(err, -ENOMEM, "%s %s can't be sent: too long, or memory is short", spec->method,
              spec->path);
    kube_request_cancel(request);
    return NULL;
}

/* ---- Completion --------------------------------------------------------------------------- */

static void send_again(uv_timer_t *timer)
{
    struct kube_request *request = timer->data;
    uint64_t now = uv_now(request->client->loop);

    buf_reset(&request->answer);
    request->response = (struct kube_response){0};
    curl_easy_setopt(request->easy, CURLOPT_TIMEOUT_MS,
                     (long)(request->deadline > now ? request->deadline - now : 1));
    curl_multi_add_handle(request->client->multi, request->easy);
}

/* "Later", and later is still in time. */
static bool wait_and_retry(struct kube_request *request)
{
    const struct kube_response *response = &request->response;
    uint64_t wait = response->retry_after;

    if (response->status != 429 && !(response->status >= 500 && wait))
        return false;
    if (!wait)
        wait = RETRY_DEFAULT_MS;
    if (wait > KUBE_RETRY_AFTER_MAX_MS || uv_now(request->client->loop) + wait >= request->deadline)
        return false;
    uv_timer_start(&request->retry, send_again, wait, 0);
    return true;
}

static void finish(struct kube_request *request, CURLcode code)
{
    curl_multi_remove_handle(request->client->multi, request->easy);
    read_answer(request, code);
    if (wait_and_retry(request))
        return;
    request->done(request->data, &request->response);
    kube_request_cancel(request);
}

static void finish_completed(struct kube_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct kube_request *request = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        finish(request, code);
    }
}
