/* What the parts of the client share: client.c (the loop's side), sockets.c (curl's sockets),
 * request.c (one request from start to end), answer.c (what came back). Nobody else includes it. */
#ifndef GITGATE_KUBE_REQUEST_H
#define GITGATE_KUBE_REQUEST_H

#include <curl/curl.h>
#include <sys/queue.h>

#include "kube/client.h"

#define HANDLES_KEPT 16 /* the workers' and the watches' */

struct socket_watch;

struct kube_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer; /* curl's one timer */
    LIST_HEAD(, socket_watch) sockets;
    CURL *handles[HANDLES_KEPT]; /* ready for a request */
    size_t n_handles;
    struct kube_config config;
    uint64_t token_read_at; /* uv_now; only with config.token_file */
    struct kube_request *requests;
    uint64_t (*time_to_write)(void *data);
    void *guard;
    void (*answered)(void *data, const char *method, int status);
    void *observer;
};

struct kube_request {
    struct kube_client *client;
    struct kube_request *next, **link; /* in client->requests */
    CURL *easy;
    struct curl_slist *headers;
    struct buf body, answer;
    char *what; /* "PATCH /api/...", for messages */
    char method[8];
    bool guarded; /* a write that the guard is asked about */
    kube_stream_fn stream;
    kube_done_fn done;
    void *data;
    uint64_t deadline; /* uv_now */
    uv_timer_t retry;
    struct kube_response response;
    struct error stream_err;
    char curl_error[CURL_ERROR_SIZE];
};

/* ---- client.c ---- */

/* What curl does when the socket is ready (CURL_CSELECT_IN, ...), or (CURL_SOCKET_TIMEOUT, 0) its
 * timer has run; requests that are over then are finished. */
void client_act(struct kube_client *client, curl_socket_t fd, int flags);

/* A rotated token is picked up without a restart. */
void client_renew_token(struct kube_client *client);

/* The server refused the token: read the file again with the next request. */
void client_expire_token(struct kube_client *client);

/* ---- sockets.c ---- */

/* curl's callbacks; `data` is the client. */
int socket_changed(CURL *easy, curl_socket_t fd, int action, void *data, void *unused);
curl_socket_t socket_open(void *data, curlsocktype purpose, struct curl_sockaddr *address);
int socket_close(void *data, curl_socket_t fd);

/* ---- request.c ---- */

/* curl is done with it: tells, and frees; or tries again later. */
void request_finish(struct kube_request *request, CURLcode code);

/* ---- answer.c ---- */

/* curl's callbacks; `data` is the request. */
size_t answer_header(char *line, size_t size, size_t n, void *data);
size_t answer_bytes(char *bytes, size_t size, size_t n, void *data);

/* Fills in the response. */
void answer_read(struct kube_request *request, CURLcode code);

#endif
