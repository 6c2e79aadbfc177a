#include "kube/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "kube/request.h"

/* Of those in use and idle ones together: curl closes one when there are more, and a new one costs
 * as much as forty requests. The controller's workers, watches, lease and Events have 17. */
#define CONNECTIONS_KEPT 32L
#define TOKEN_AGE_MAX_MS 60000 /* the kubelet renews a token at 80 % of its life, >= 10 min */

/* ---- curl on the loop --------------------------------------------------------------------- */

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
        request_finish(request, code);
    }
}

void client_act(struct kube_client *client, curl_socket_t fd, int flags)
{
    int running;

    curl_multi_socket_action(client->multi, fd, flags, &running);
    finish_completed(client);
}

static void on_timer(uv_timer_t *timer)
{
    client_act(timer->data, CURL_SOCKET_TIMEOUT, 0);
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
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
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
    while (client->n_handles)
        curl_easy_cleanup(client->handles[--client->n_handles]);
    if (client->multi)
        curl_multi_cleanup(client->multi);
    uv_close((uv_handle_t *)&client->timer, free_client);
}

void kube_client_guard(struct kube_client *client, uint64_t (*time_to_write)(void *data),
                       void *data)
{
    client->time_to_write = time_to_write;
    client->guard = data;
}

void kube_client_observe(struct kube_client *client,
                         void (*answered)(void *data, const char *method, int status), void *data)
{
    client->answered = answered;
    client->observer = data;
}

uv_loop_t *kube_client_loop(const struct kube_client *client)
{
    return client->loop;
}

const char *kube_client_namespace(const struct kube_client *client)
{
    return client->config.namespace_;
}

/* A file that can't be read just now (the kubelet swaps it) keeps the token that is there. */
void client_renew_token(struct kube_client *client)
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

void client_expire_token(struct kube_client *client)
{
    client->token_read_at = uv_now(client->loop) - TOKEN_AGE_MAX_MS;
}
