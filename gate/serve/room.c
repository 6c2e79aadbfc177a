#include "serve/room.h"

#include "lock.h"
#include "serve/connection_impl.h"
#include "serve/traffic.h"

/* For nothing: git says at once what it wants, and takes the gate's last word. */
#define FREE_MS 1000
#define FREE_SERVED_MS 10000
#define BYTES_PER_MS 64 /* 64 kB/s: git is in the same pod */
#define LOOK_MS 1000    /* what is owed changes */

/* ---- what is owed ---- */

static uint64_t moved_bytes(const struct connection *c)
{
    uv_os_fd_t fd;

    return uv_fileno((const uv_handle_t *)&c->socket, &fd) == 0 ? traffic_bytes(fd) : 0;
}

/* Until when the place is paid for. */
static uint64_t paid_until_ns(const struct connection *c)
{
    uint64_t paid_ms =
        c->state == CONNECTION_SERVED ? FREE_SERVED_MS + moved_bytes(c) / BYTES_PER_MS : FREE_MS;

    return c->awaited_ns ? c->awaited_ns + paid_ms * 1000000u : UINT64_MAX;
}

static struct connection *find_debtor(const struct connections *all, uint64_t now_ns)
{
    struct connection *found = NULL;
    uint64_t first_ns = now_ns;

    for (struct connection *c = all->first; c; c = c->next) {
        uint64_t until_ns = paid_until_ns(c);

        if (until_ns > first_ns)
            continue;
        first_ns = until_ns;
        found = c;
    }
    return found;
}

/* ---- who goes ---- */

static void look(struct connections *all)
{
    struct connection *c = find_debtor(all, clock_now_ns());

    if (c)
        connection_end(c, "a client that was waited for too long gave its place to another");
}

static void on_look(uv_timer_t *timer)
{
    look(timer->data);
}

void room_wanted(struct connections *all)
{
    uv_timer_start(&all->room_wanted, on_look, 0, LOOK_MS);
}

void room_found(struct connections *all)
{
    uv_timer_stop(&all->room_wanted);
}

bool room_is_wanted(const struct connections *all)
{
    return uv_is_active((const uv_handle_t *)&all->room_wanted);
}

void room_init(struct connections *all)
{
    uv_timer_init(all->loop, &all->room_wanted);
    all->room_wanted.data = all;
}

/* ---- whose turn it is ---- */

static struct connection *find_session(const struct connections *all, int session)
{
    struct connection *c = all->first;

    while (c && (c->state != CONNECTION_SERVED || c->process.pid != session))
        c = c->next;
    return c;
}

void room_clients_turn(struct connections *all, int session)
{
    struct connection *c = find_session(all, session);

    if (c)
        c->awaited_ns = clock_now_ns();
}

void room_gates_turn(struct connections *all, int session)
{
    struct connection *c = find_session(all, session);

    if (c)
        c->awaited_ns = 0;
}
