#include "serve/fetches.h"

#include "serve/connection_impl.h"
#include "serve/traffic.h"

#define LOOK_MS 50

static uint64_t said_bytes(const struct connection *c)
{
    uv_os_fd_t fd;

    return uv_fileno((const uv_handle_t *)&c->socket, &fd) == 0 ? traffic_received(fd) : 0;
}

static void on_look(uv_timer_t *timer)
{
    struct connections *all = timer->data;
    bool any = false;

    for (struct connection *c = all->first; c; c = c->next) {
        if (c->state != CONNECTION_SERVED || !c->fetches)
            continue;
        any = true;
        if (said_bytes(c) > FETCH_SAYS_MAX)
            connection_end(c, "a client that said too much before a fetch was ended");
    }
    if (!any)
        uv_timer_stop(timer);
}

void fetches_init(struct connections *all)
{
    uv_timer_init(all->loop, &all->fetches);
    all->fetches.data = all;
}

void fetches_watch(struct connections *all)
{
    if (!uv_is_active((const uv_handle_t *)&all->fetches))
        uv_timer_start(&all->fetches, on_look, LOOK_MS, LOOK_MS);
}
