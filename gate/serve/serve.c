/* serve: the gate's entrypoint. Makes the repositories, listens, hands each connection to git
 * daemon, and follows the configuration while it runs. Credentials are read when they are used, so
 * a new key needs nothing here. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "address.h"
#include "base/file.h"
#include "base/health.h"
#include "base/memory.h"
#include "base/orphans.h"
#include "gate.h"
#include "lock.h"
#include "repo.h"
#include "serve/background.h"
#include "serve/connection.h"
#include "serve/init.h"
#include "serve/journal.h"
#include "serve/queue.h"
#include "serve/room.h"
#include "verbs.h"
#include "workdir.h"

#define BACKLOG 1024  /* git daemon's own is 5, and loses clients from 32 on */
#define SETTLE_MS 100 /* one change of a ConfigMap is several events in its folder */
#define POLL_MS 5000  /* where inotify can't be had */
#define READY_MAX_NS                                                                               \
    120000000000u /* a first mirror that takes longer is waited for by its clients */

struct server {
    struct gate gate;
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_signal_t term, interrupt, hang_up;
    uv_fs_event_t watch;
    uv_fs_poll_t poll;
    uv_timer_t settle;
    struct init init;
    struct connections connections;
    struct journal journal;
    struct health *health;
    uint64_t started_ns;
    struct background background;
};

/* ---- configuration ---- */

static void make_repositories(struct server *s)
{
    for (size_t i = 0; i < s->gate.spec.n_upstreams; i++) {
        const struct upstream *upstream = &s->gate.spec.upstreams[i];
        struct error err = ERROR_INIT;

        if (repo_ensure(&s->gate, upstream, &err) < 0)
            log_error(&s->gate.log, "cannot make a repository",
                      json_pack("{s:s, s:s}", "repo", upstream->name, "error", err.msg));
        else
            background_mirror(&s->background, upstream);
    }
}

/* A repository may have been removed while its upstream came back. */
static void on_forgotten(void *data)
{
    make_repositories(data);
}

static void on_settled(uv_timer_t *timer)
{
    struct server *s = timer->data;
    struct error err = ERROR_INIT;

    if (gate_load(&s->gate, &err) < 0) {
        log_error(&s->gate.log, "cannot read the new configuration",
                  json_pack("{s:s}", "error", err.msg));
        return;
    }
    log_info(&s->gate.log, "configuration read",
             json_pack("{s:I}", "upstreams", (json_int_t)s->gate.spec.n_upstreams));
    make_repositories(s);
    background_forget(&s->background);
}

static void on_changed(uv_fs_event_t *watch, const char *name, int events, int status)
{
    struct server *s = watch->data;

    (void)name;
    (void)events;
    (void)status;
    uv_timer_start(&s->settle, on_settled, SETTLE_MS, 0);
}

static void on_polled(uv_fs_poll_t *poll, int status, const uv_stat_t *before, const uv_stat_t *now)
{
    struct server *s = poll->data;

    (void)before;
    (void)now;
    if (status == 0)
        uv_timer_start(&s->settle, on_settled, SETTLE_MS, 0);
}

static void watch_configuration(struct server *s)
{
    char path[PATH_MAX + 16];

    uv_timer_init(&s->loop, &s->settle);
    uv_fs_event_init(&s->loop, &s->watch);
    uv_fs_poll_init(&s->loop, &s->poll);
    s->settle.data = s->watch.data = s->poll.data = s;
    if (uv_fs_event_start(&s->watch, on_changed, s->gate.config_dir, 0) == 0)
        return;
    snprintf(path, sizeof path, "%s/gate.json", s->gate.config_dir);
    uv_fs_poll_start(&s->poll, on_polled, path, POLL_MS);
}

/* ---- clients ---- */

static void on_client(uv_stream_t *listener, int status)
{
    struct server *s = listener->data;
    struct error err = ERROR_INIT;

    if (status < 0)
        return;
    if (s->connections.n >= CONNECTIONS_MAX) {
        room_wanted(&s->connections);
        return; /* libuv reports no more until this one is accepted: see on_room */
    }
    if (connection_accept(&s->connections, listener, &err) < 0)
        log_error(&s->gate.log, "a client was lost", json_pack("{s:s}", "error", err.msg));
}

static void on_refreshed(void *data, int session, const char *repo, uint64_t asked_ns)
{
    struct server *s = data;

    room_clients_turn(&s->connections, session);
    queue_refreshed(&s->connections, session, repo, asked_ns);
}

static void on_received(void *data, int session)
{
    struct server *s = data;

    room_gates_turn(&s->connections, session);
}

static void on_room(void *data)
{
    struct server *s = data;

    if (room_is_wanted(&s->connections) && !uv_is_closing((uv_handle_t *)&s->listener))
        on_client((uv_stream_t *)&s->listener, 0);
}

static int listen_port(const uv_tcp_t *listener)
{
    struct sockaddr_storage address;
    int len = sizeof address;

    if (uv_tcp_getsockname(listener, (struct sockaddr *)&address, &len) < 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static int listen_for_clients(struct server *s, struct error *err)
{
    struct sockaddr_storage address;
    int r = address_parse(s->gate.listen, &address, err);

    if (r < 0)
        return r;
    uv_tcp_init(&s->loop, &s->listener);
    s->listener.data = s;
    r = uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_client);
    if (r < 0)
        return error_errno(err, r, "cannot listen on %s", s->gate.listen);
    log_info(&s->gate.log, "listening",
             json_pack("{s:s, s:i}", "address", s->gate.listen, "port", listen_port(&s->listener)));
    return 0;
}

/* ---- health and metrics ---- */

/* Each upstream's first mirror is made, or is known to have failed: an upstream that is down keeps
 * nobody from the others. Nor does one that takes long, for ever. */
static bool is_ready(void *data)
{
    const struct server *s = data;

    return background_has_mirrored(&s->background) || clock_now_ns() - s->started_ns > READY_MAX_NS;
}

static void print_metrics(void *data, struct buf *out)
{
    const struct server *s = data;

    metrics_print(s->journal.metrics, out);
}

/* An address that was asked for must be had; the default one may be somebody else's in this pod,
 * and nobody's work hangs on it. */
static int tell_health(struct server *s, struct error *err)
{
    const struct health_source source = {.ready = is_ready, .metrics = print_metrics, .data = s};
    const char *asked = getenv(ENV_METRICS);
    const char *address = asked && *asked ? asked : METRICS_DEFAULT;
    struct error why = ERROR_INIT;

    if (strcmp(address, METRICS_OFF) == 0)
        return 0;
    if (health_start(&s->loop, address, &source, &s->health, &why) == 0) {
        log_info(&s->gate.log, "metrics",
                 json_pack("{s:s, s:i}", "address", address, "port", health_port(s->health)));
        return 0;
    }
    if (address == asked)
        return error_set(err, why.code, ENV_METRICS ": %s", why.msg);
    log_warn(&s->gate.log, "no metrics", json_pack("{s:s}", "error", why.msg));
    return 0;
}

/* ---- start and end ---- */

static void on_stop(uv_signal_t *signal_handle, int number)
{
    struct server *s = signal_handle->data;

    (void)number;
    if (uv_is_closing((uv_handle_t *)&s->listener)) /* Ctrl-C may reach us twice */
        return;
    log_info(&s->gate.log, "stopping", NULL);
    uv_close((uv_handle_t *)&s->listener, NULL);
    health_stop(s->health);
    connections_end(&s->connections);
    uv_stop(&s->loop);
}

static void watch_signals(struct server *s)
{
    uv_signal_init(&s->loop, &s->term);
    uv_signal_init(&s->loop, &s->interrupt);
    uv_signal_init(&s->loop, &s->hang_up);
    s->term.data = s->interrupt.data = s->hang_up.data = s;
    uv_signal_start(&s->term, on_stop, SIGTERM);
    uv_signal_start(&s->interrupt, on_stop, SIGINT);
    uv_signal_start(&s->hang_up, on_stop, SIGHUP);
}

/* The hooks call this program by its name: the one that runs, not another that is installed. */
static void put_first_in_path(void)
{
    const char *path = getenv("PATH");
    char self[PATH_MAX], *value;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n <= 0)
        return;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    if (asprintf(&value, "%s:%s", self, path ? path : "/usr/bin:/bin") < 0)
        return;
    setenv("PATH", value, 1);
    free(value);
}

static int start(struct server *s, struct error *err)
{
    char real[PATH_MAX];
    int r = init_start(&s->init, &s->loop);

    if (r < 0)
        return error_errno(err, r, "cannot take in what git leaves behind");
    r = gate_load(&s->gate, err);
    if (r == 0)
        r = file_mkdirs(s->gate.repos_dir, 0700, err);
    if (r == 0 && realpath(s->gate.repos_dir, real))
        memcpy(s->gate.repos_dir, real, sizeof real);
    if (r == 0)
        r = journal_open(&s->journal, &s->loop, &s->gate, err);
    if (r == 0)
        r = connections_init(&s->connections, &s->loop, &s->gate, &s->journal, err);
    if (r == 0)
        r = background_init(&s->background, &s->connections, err);
    if (r == 0)
        r = tell_health(s, err);
    if (r < 0)
        return r;
    workdir_sweep(s->gate.repos_dir);
    watch_signals(s);
    watch_configuration(s);
    s->background.on_forgotten = on_forgotten;
    s->background.data = s;
    make_repositories(s);
    background_forget(&s->background);
    return listen_for_clients(s, err);
}

int verb_serve(int argc, char **argv)
{
    static struct server server; /* as long as the process */
    struct server *s = &server;
    struct error err = ERROR_INIT;
    int code = 0;

    (void)argc;
    (void)argv;
    umask(077);
    memory_bound();
    put_first_in_path();
    s->gate.log = (struct log){.fd = STDERR_FILENO, .program = "gitgate-gate"};
    uv_loop_init(&s->loop);
    s->started_ns = clock_now_ns();
    s->connections.on_room = on_room;
    s->connections.data = s;
    s->journal.on_refreshed = on_refreshed;
    s->journal.on_received = on_received;
    s->journal.hooks_data = s;
    if (gate_open(&s->gate, &err) < 0 || (s->gate.log.fd = STDOUT_FILENO, start(s, &err) < 0)) {
        log_error(&s->gate.log, "cannot start", json_pack("{s:s}", "error", err.msg));
        code = 1;
    } else {
        memory_give_back();
        uv_run(&s->loop, UV_RUN_DEFAULT);
    }
    orphans_end();
    return code;
}
