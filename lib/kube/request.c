#include "kube/request.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000L
#define URL_MAX 16384 /* a continue token has a few hundred bytes */
#define REQUEST_MAX (8u << 20)
#define UPLOAD_BUFFER 16384L  /* a TLS record; the default is 64 KiB a request */
#define DOWNLOAD_BUFFER 4096L /* most answers; what is large comes in pieces */
#define TLS_RECORD 4096       /* most bodies */
#define KEEPALIVE_IDLE_S 30L  /* a peer that is gone without a word is noticed in a minute */
#define KEEPALIVE_INTERVAL_S 10L
#define RETRY_DEFAULT_MS 1000 /* 429 without Retry-After */

/* ---- curl's handles ----------------------------------------------------------------------- */

static void set_blob(CURL *easy, CURLoption option, const struct buf *pem)
{
    struct curl_blob blob = {.data = pem->data, .len = pem->len, .flags = CURL_BLOB_NOCOPY};

    if (pem->len)
        curl_easy_setopt(easy, option, &blob);
}

/* What was last sent or received on a connection is not kept with it: 34 kB each, and a Secret's
 * content maybe. Buffers are small, as each is wiped after each request. */
static CURLcode keep_no_buffers(CURL *easy, void *context, void *data)
{
    (void)easy, (void)data;
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_send_fragment(context, TLS_RECORD);
    return CURLE_OK;
}

/* The cluster's authority, and then no other: curl would trust those of the host's folder too. */
static void set_authority(CURL *easy, const struct buf *ca)
{
    if (!ca->len)
        return;
    set_blob(easy, CURLOPT_CAINFO_BLOB, ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
}

static void set_tls(CURL *easy, const struct kube_config *config)
{
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, keep_no_buffers);
    set_authority(easy, &config->ca);
    set_blob(easy, CURLOPT_SSLCERT_BLOB, &config->cert);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, &config->key);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (config->insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

/* What is the same for every request of the client. */
static void set_transport(CURL *easy, struct kube_client *client)
{
    /* HTTP/2 of Debian 12's libcurl reports some aborted bodies as complete. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* paths are encoded: never squeezed */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "gitgate/" GITGATE_VERSION);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, answer_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_bytes);
    set_tls(easy, &client->config);
}

/* One that was used before, or a new one; NULL when memory is short. */
static CURL *take_handle(struct kube_client *client)
{
    CURL *easy;

    if (client->n_handles)
        return client->handles[--client->n_handles];
    easy = curl_easy_init();
    if (easy)
        set_transport(easy, client);
    return easy;
}

/* With nothing of its request left in it. */
static void give_handle_back(struct kube_client *client, CURL *easy)
{
    if (client->n_handles == HANDLES_KEPT) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* after the former, which says POST */
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
    client->handles[client->n_handles++] = easy;
}

/* ---- A request ---------------------------------------------------------------------------- */

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

/* `begin`: "Name: ". A token has a thousand bytes: they are copied, not formatted. */
static int add_header(struct kube_request *request, const char *begin, const char *value)
{
    struct buf line = BUF_INIT(KUBE_TOKEN_MAX + 64);
    struct curl_slist *list = NULL;

    buf_reserve(&line, strlen(begin) + strlen(value));
    buf_adds(&line, begin);
    buf_adds(&line, value);
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
    const struct buf *token = &request->client->config.token;
    int r = add_header(request, "Accept: ", spec->accept ? spec->accept : "application/json");

    if (r == 0 && spec->content_type)
        r = add_header(request, "Content-Type: ", spec->content_type);
    if (r == 0 && spec->body_len)
        r = add_header(request, "Expect:", ""); /* else large bodies wait for a 100 */
    if (r == 0 && token->len)
        r = add_header(request, "Authorization: Bearer ", token->data);
    curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
    return r;
}

static void set_request(struct kube_request *request, uint64_t timeout_ms)
{
    CURL *easy = request->easy;

    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->curl_error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
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
    snprintf(request->method, sizeof request->method, "%s", spec->method);
    request->guarded = !spec->unguarded && strcmp(spec->method, "GET") != 0;
    request->stream = spec->stream;
    request->done = spec->done;
    request->data = spec->data;
    uv_timer_init(client->loop, &request->retry);
    request->retry.data = request;
    request->easy = take_handle(client);
    return request;
}

/* Of the time that it would take, what the guard lets it have. */
static uint64_t allowed_ms(const struct kube_request *request, uint64_t wanted)
{
    const struct kube_client *client = request->client;
    uint64_t allowed;

    if (!request->guarded || !client->time_to_write)
        return wanted;
    allowed = client->time_to_write(client->guard);
    return allowed < wanted ? allowed : wanted;
}

struct kube_request *kube_request_start(struct kube_client *client,
                                        const struct kube_request_spec *spec, struct error *err)
{
    struct kube_request *request = request_new(client, spec);
    uint64_t timeout_ms;

    if (!request) {
        error_set(err, -ENOMEM, "memory is short");
        return NULL;
    }
    timeout_ms = allowed_ms(request, spec->timeout_ms ? spec->timeout_ms : KUBE_TIMEOUT_MS);
    if (!timeout_ms) {
        error_set(err, -ECANCELED, "%s %s is not sent: this process may not write now",
                  spec->method, spec->path);
        kube_request_cancel(request);
        return NULL;
    }
    uv_update_time(client->loop);
    request->deadline = uv_now(client->loop) + timeout_ms;
    client_renew_token(client);
    if (!request->easy || set_target(request, spec) < 0 || set_headers(request, spec) < 0)
        goto fail;
    set_request(request, timeout_ms);
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
    uint64_t left = request->deadline > now ? request->deadline - now : 1;

    left = allowed_ms(request, left);
    curl_easy_setopt(request->easy, CURLOPT_TIMEOUT_MS, (long)left);
    if (!left || curl_multi_add_handle(request->client->multi, request->easy) != CURLM_OK) {
        request->done(request->data, &request->response); /* with the answer that it had */
        kube_request_cancel(request);
        return;
    }
    buf_reset(&request->answer);
    request->response = (struct kube_response){0};
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

/* Before `done`: what that starts can have it at once. */
static void release_handle(struct kube_request *request)
{
    give_handle_back(request->client, request->easy);
    request->easy = NULL;
}

void request_finish(struct kube_request *request, CURLcode code)
{
    curl_multi_remove_handle(request->client->multi, request->easy);
    answer_read(request, code);
    if (request->client->answered)
        request->client->answered(request->client->observer, request->method,
                                  request->response.status);
    if (wait_and_retry(request))
        return;
    release_handle(request);
    request->done(request->data, &request->response);
    kube_request_cancel(request);
}
