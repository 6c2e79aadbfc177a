/* curl's multi-socket interface on libuv.
 *
 * curl lets go of a connection's socket at the end of each request and takes it again for the next,
 * most often at once, and to tell the kernel both costs as much as a small request's encryption. So
 * a connection's socket is watched from when it is opened until it is closed. What curl opens for
 * itself (its look-ups' pipes) is closed without a word: that is watched only while curl wants it.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kube/request.h"

struct socket_watch {
    uv_poll_t poll;
    struct kube_client *client;
    curl_socket_t fd;
    bool lasting;       /* until socket_close */
    int wanted, polled; /* UV_READABLE, UV_WRITABLE: by curl, and of libuv */
    LIST_ENTRY(socket_watch) next;
};

static struct socket_watch *find(const struct kube_client *client, curl_socket_t fd)
{
    struct socket_watch *watch;

    LIST_FOREACH(watch, &client->sockets, next)
        if (watch->fd == fd)
            return watch;
    return NULL;
}

static struct socket_watch *watch_new(struct kube_client *client, curl_socket_t fd, bool lasting)
{
    struct socket_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    *watch = (struct socket_watch){.client = client, .fd = fd, .lasting = lasting};
    watch->poll.data = watch;
    if (uv_poll_init_socket(client->loop, &watch->poll, fd) < 0) {
        free(watch);
        return NULL;
    }
    LIST_INSERT_HEAD(&client->sockets, watch, next);
    return watch;
}

static void free_watch(uv_handle_t *poll)
{
    free(poll->data);
}

static void watch_end(struct socket_watch *watch)
{
    LIST_REMOVE(watch, next);
    uv_close((uv_handle_t *)&watch->poll, free_watch);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watch = poll->data;
    int flags = 0;

    if (!watch->wanted) { /* an idle connection is closed by the server: curl sees when it wants it
                           */
        watch->polled = 0;
        uv_poll_stop(poll);
        return;
    }
    if (status < 0) {
        watch->polled = 0; /* libuv has stopped */
        flags = CURL_CSELECT_ERR;
    }
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    client_act(watch->client, watch->fd, flags);
}

static int watch_for(struct socket_watch *watch, int events)
{
    watch->wanted = events;
    if (!events || watch->polled == events)
        return 0;
    watch->polled = events;
    return uv_poll_start(&watch->poll, events, on_socket);
}

int socket_changed(CURL *easy, curl_socket_t fd, int action, void *data, void *unused)
{
    struct kube_client *client = data;
    struct socket_watch *watch = find(client, fd);
    int events = 0;

    (void)easy, (void)unused;
    if (action == CURL_POLL_REMOVE) {
        if (watch && watch->lasting)
            watch_for(watch, 0);
        else if (watch)
            watch_end(watch);
        return 0;
    }
    if (!watch)
        watch = watch_new(client, fd, false);
    if (!watch)
        return -1;
    if (action != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (action != CURL_POLL_IN)
        events |= UV_WRITABLE;
    return watch_for(watch, events);
}

curl_socket_t socket_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    curl_socket_t fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (watch_new(data, fd, true))
        return fd;
    close(fd);
    return CURL_SOCKET_BAD;
}

int socket_close(void *data, curl_socket_t fd)
{
    struct socket_watch *watch = find(data, fd);

    if (watch)
        watch_end(watch);
    return close(fd);
}
