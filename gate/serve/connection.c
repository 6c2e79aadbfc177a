#include "serve/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"
#include "mirror/presence.h"
#include "serve/connection_impl.h"
#include "serve/fetches.h"
#include "serve/queue.h"
#include "serve/room.h"

#define INIT_TIMEOUT "--init-timeout=10" /* s, for the client to say what it wants */
#define IDLE_TIMEOUT "--timeout=300"     /* s, between two requests of a fetch */
/* git daemon has no limit for receive-pack: a client that stops in the middle of a push must not
 * hold its place for ever. Longer than a refresh, a scan and a forward may take together. */
#define LIFE_MAX_MS (2ull * 3600 * 1000)
#define KEEPALIVE_S 60
/* A client that is refused while it sends (a push over the size limit) reads why only when what it
 * sent was read: closing on unread bytes resets the connection, and takes the answer away. */
#define LINGER_MS 30000
#define CHILD_LOG_FD_TEXT "3"
#define CHILD_EVENT_FD_TEXT "4"
#define PRESENCE_FD_TEXT "5"
#define DAEMON_FDS (CHILD_FDS + 1)

#define OF_INTAKE 2 /* arguments; behind them are git daemon's */

#define ARRIVED_SIZE (sizeof ENV_ARRIVED + 21) /* "=" and 20 digits */
#define CLIENT_SIZE (sizeof ENV_CLIENT + 1 + INET6_ADDRSTRLEN)

static const char *const kept[] = {ENV_CONFIG_DIR, ENV_CREDS_DIR,   ENV_REPOS_DIR,
                                   "POD_NAME",     "POD_NAMESPACE", "SERVICE_ACCOUNT"};

int connections_init(struct connections *c, uv_loop_t *loop, const struct gate *gate,
                     struct journal *journal, struct error *err)
{
    int r = child_env_base(&c->env);

    c->loop = loop;
    c->gate = gate;
    c->journal = journal;
    queue_init(c);
    room_init(c);
    fetches_init(c);
    for (size_t i = 0; r == 0 && i < sizeof kept / sizeof *kept; i++)
        r = child_env_keep(&c->env, kept[i]);
    if (r == 0)
        r = child_env_set(&c->env, ENV_LOG_FD, CHILD_LOG_FD_TEXT);
    if (r == 0)
        r = child_env_set(&c->env, ENV_EVENT_FD, CHILD_EVENT_FD_TEXT);
    /* git daemon looks up the host name that the client says it called. No attempt, no query: a
     * client without DNS must not have the gate ask for names that it makes up. What the hooks
     * start has an environment of its own. */
    if (r == 0)
        r = child_env_set(&c->env, "RES_OPTIONS", "attempts:0");
    return r < 0 ? error_errno(err, r, "cannot prepare the environment of git daemon") : 0;
}

void connections_child_fds(const struct connections *c, uv_stdio_container_t stdio[CHILD_FDS],
                           int in, int out)
{
    const int fds[CHILD_FDS] = {in, out, STDERR_FILENO, STDOUT_FILENO, c->journal->write_end};

    for (int i = 0; i < CHILD_FDS; i++) {
        stdio[i].flags = fds[i] < 0 ? UV_IGNORE : UV_INHERIT_FD;
        stdio[i].data.fd = fds[i];
    }
}

/* ---- the end of one ---- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct connections *all = c->all;

    if (--c->open > 0)
        return;
    *(c->before ? &c->before->next : &all->first) = c->next;
    if (c->next)
        c->next->before = c->before;
    free(c);
    if (all->n-- == CONNECTIONS_MAX)
        all->on_room(all->data);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

int connection_watch(struct connection *c, uv_poll_cb on_readable)
{
    uv_os_fd_t fd;
    int r = uv_fileno((uv_handle_t *)&c->socket, &fd);

    if (r == 0)
        r = uv_poll_init(c->all->loop, &c->request, fd);
    if (r < 0)
        return r;
    c->open++;
    return uv_poll_start(&c->request, UV_READABLE, on_readable);
}

void connection_unwatch(struct connection *c)
{
    uv_timer_stop(&c->life);
    if (c->request.type == UV_POLL) /* else it never was one */
        close_handle((uv_handle_t *)&c->request);
}

static void close_socket(struct connection *c)
{
    connection_unwatch(c);
    c->state = CONNECTION_OVER;
    close_handle((uv_handle_t *)&c->life);
    close_handle((uv_handle_t *)&c->socket);
}

static void on_drain_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct connection *c = handle->data;

    (void)suggested;
    *buf = uv_buf_init(c->drain, sizeof c->drain);
}

static void on_drained(uv_stream_t *socket, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n < 0) /* the client has closed, too */
        close_socket(socket->data);
}

static void on_linger_over(uv_timer_t *timer)
{
    close_socket(timer->data);
}

static void on_exit_(uv_process_t *process, int64_t status, int term_signal)
{
    struct connection *c = process->data;
    uv_stream_t *socket = (uv_stream_t *)&c->socket;
    uv_os_fd_t fd;

    journal_end(c->all->journal, process->pid, term_signal ? 128 + term_signal : status,
                clock_ms_since(c->started_ns));
    queue_leave(c);
    close_handle((uv_handle_t *)process);
    if (c->state == CONNECTION_OVER) {
        close_socket(c);
        return;
    }
    c->state = CONNECTION_LINGERS;
    c->awaited_ns = clock_now_ns();
    uv_stream_set_blocking(socket, 0); /* git daemon had it otherwise */
    if (uv_fileno((uv_handle_t *)socket, &fd) < 0 || shutdown(fd, SHUT_WR) < 0 ||
        uv_read_start(socket, on_drain_alloc, on_drained) < 0)
        close_socket(c);
    else
        uv_timer_start(&c->life, on_linger_over, LINGER_MS, 0);
}

static void on_life_over(uv_timer_t *timer)
{
    struct connection *c = timer->data;

    kill(-c->process.pid, SIGKILL);
}

/* ---- the start of one ---- */

/* "": the client has gone already. */
static void name_client(const struct connection *c, char to[INET6_ADDRSTRLEN])
{
    struct sockaddr_storage address;
    int len = sizeof address;

    if (uv_tcp_getpeername(&c->socket, (struct sockaddr *)&address, &len) < 0 ||
        uv_ip_name((struct sockaddr *)&address, to, INET6_ADDRSTRLEN) < 0)
        to[0] = '\0';
}

/* The environment that all share, and what is the connection's: when this client came, from where,
 * and its presence. */
static char **own_env(const struct connection *c, char arrived[ARRIVED_SIZE],
                      char client[CLIENT_SIZE])
{
    static char presence[] = ENV_PRESENCE_FD "=" PRESENCE_FD_TEXT;
    const struct child_env *env = &c->all->env;
    char **list = calloc(env->n + 4, sizeof *list), name[INET6_ADDRSTRLEN];

    if (!list)
        return NULL;
    memcpy(list, env->list, env->n * sizeof *list);
    snprintf(arrived, ARRIVED_SIZE, ENV_ARRIVED "=%" PRIu64, c->arrived_ns);
    name_client(c, name);
    snprintf(client, CLIENT_SIZE, ENV_CLIENT "=%s", name);
    list[env->n] = arrived;
    list[env->n + 1] = client;
    list[env->n + 2] = presence;
    return list;
}

static int spawn(struct connection *c, struct error *err)
{
    char base[PATH_MAX + 32], hook[PATH_MAX + 32], arrived[ARRIVED_SIZE], client[CLIENT_SIZE];
    cleanup_free char **env = own_env(c, arrived, client); /* not its strings */
    const char *const argv[] = {"gitgate-gate",
                                "intake",
                                "git",
                                "daemon",
                                "--inetd",
                                "--export-all",
                                "--enable=receive-pack",
                                "--informative-errors",
                                "--log-destination=none",
                                INIT_TIMEOUT,
                                IDLE_TIMEOUT,
                                base,
                                hook,
                                NULL};
    cleanup_close int presence = presence_open(c->all->gate->repos_dir, err);
    uv_stdio_container_t stdio[DAEMON_FDS];
    /* Who does no more than fetch needs none. */
    const char *const *own = argv + (c->fetches ? OF_INTAKE : 0);
    uv_process_options_t options = {.file = c->fetches ? own[0] : "/proc/self/exe",
                                    .args = (char **)own,
                                    .env = env,
                                    .cwd = c->all->gate->repos_dir,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio = stdio,
                                    .stdio_count = DAEMON_FDS,
                                    .exit_cb = on_exit_};
    uv_os_fd_t fd;
    int r;

    if (presence < 0)
        return presence;
    if (!env)
        return error_errno(err, -ENOMEM, "cannot run git daemon");
    snprintf(base, sizeof base, "--base-path=%s", c->all->gate->repos_dir);
    snprintf(hook, sizeof hook, "--access-hook=%s/access-hook", c->all->gate->config_dir);
    r = uv_fileno((uv_handle_t *)&c->socket, &fd);
    if (r == 0) {
        connections_child_fds(c->all, stdio, fd, fd);
        stdio[CHILD_FDS].flags = UV_INHERIT_FD;
        stdio[CHILD_FDS].data.fd = presence;
        r = uv_spawn(c->all->loop, &c->process, &options);
    }
    return r < 0 ? error_errno(err, r, "cannot run git daemon") : 0;
}

void connection_serve(struct connection *c)
{
    struct error err = ERROR_INIT;
    int r = spawn(c, &err);

    c->state = CONNECTION_SERVED;
    c->open++; /* a process handle is to be closed even when the spawn failed */
    if (r == 0) {
        journal_begin(c->all->journal, c->process.pid);
        uv_timer_start(&c->life, on_life_over, LIFE_MAX_MS, 0);
        if (c->fetches)
            fetches_watch(c->all);
        return;
    }
    log_error(&c->all->gate->log, "a client was lost", json_pack("{s:s}", "error", err.msg));
    close_handle((uv_handle_t *)&c->process);
    connection_drop(c);
}

void connection_drop(struct connection *c)
{
    queue_leave(c);
    close_socket(c);
}

/* Who pushes has gone, for intake: receive-pack takes away what it has of the push, which it does
 * on no signal. Who fetches has nothing that would stay; git daemon ignores SIGTERM. */
static void end_served(struct connection *c)
{
    uv_os_fd_t fd;

    if (c->fetches || uv_fileno((uv_handle_t *)&c->socket, &fd) < 0 || shutdown(fd, SHUT_RDWR) < 0)
        kill(-c->process.pid, SIGHUP);
    else
        uv_timer_start(&c->life, on_life_over, LINGER_MS, 0);
}

void connection_end(struct connection *c, const char *why)
{
    c->awaited_ns = 0;
    if (c->state != CONNECTION_SERVED) {
        connection_drop(c);
        return;
    }
    log_warn(&c->all->gate->log, why, json_pack("{s:I}", "session", (json_int_t)c->process.pid));
    c->state = CONNECTION_OVER;
    end_served(c);
}

static void add(struct connections *all, struct connection *c)
{
    c->all = all;
    c->state = CONNECTION_ASKS;
    c->started_ns = c->awaited_ns = clock_now_ns();
    c->socket.data = c->request.data = c->process.data = c->life.data = c;
    c->next = all->first;
    if (c->next)
        c->next->before = c;
    all->first = c;
    all->n++;
}

int connection_accept(struct connections *all, uv_stream_t *listener, struct error *err)
{
    struct connection *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return error_errno(err, -ENOMEM, "cannot accept a client");
    uv_tcp_init(all->loop, &c->socket);
    uv_timer_init(all->loop, &c->life);
    add(all, c);
    c->open = 2;
    room_found(all);
    r = uv_accept(listener, (uv_stream_t *)&c->socket);
    if (r == 0)
        r = uv_tcp_keepalive(&c->socket, 1, KEEPALIVE_S);
    if (r < 0) {
        close_socket(c);
        return error_errno(err, r, "cannot accept a client");
    }
    queue_join(c);
    return 0;
}

void connections_end(struct connections *all)
{
    for (struct connection *c = all->first; c; c = c->next)
        if (uv_is_active((uv_handle_t *)&c->process))
            kill(-c->process.pid, SIGTERM);
}
