#include "serve/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lock.h"
#include "serve/connection_impl.h"
#include "serve/request.h"

/* To say what it wants: git does at once. As git daemon's --init-timeout. */
#define REQUEST_TIMEOUT_MS 10000

static void go_on(struct connections *all);

/* ---- lines ---- */

static bool is_idle(const struct line *line)
{
    return line->turn.waiting == 0 && !line->leader;
}

/* Of upstreams that the GitGate has no longer, and that nobody waits for. */
static void drop_lines(struct connections *all)
{
    for (struct line **at = &all->lines, *line; (line = *at);) {
        if (!is_idle(line) || gitgate_upstream(&all->gate->spec, line->name)) {
            at = &line->next;
            continue;
        }
        *at = line->next;
        free(line->name);
        free(line);
    }
}

static struct line *find_line(const struct connections *all, const char *name)
{
    struct line *line = all->lines;

    while (line && strcmp(line->name, name) != 0)
        line = line->next;
    return line;
}

static struct line *make_line(struct connections *all, const char *name)
{
    struct line *line = find_line(all, name);

    if (line)
        return line;
    drop_lines(all);
    line = calloc(1, sizeof *line);
    if (!line || !(line->name = strdup(name))) {
        free(line);
        return NULL;
    }
    line->next = all->lines;
    return all->lines = line;
}

/* ---- who waits ---- */

static void count_waiting(struct connections *all, ssize_t change)
{
    all->waiting += (size_t)change;
    journal_waiting(all->journal, all->waiting);
}

static void arrive(struct connection *c, struct line *line)
{
    c->line = line;
    c->state = CONNECTION_WAITS;
    turn_arrive(&line->turn, c->arrived_ns);
    count_waiting(c->all, 1);
}

static void let_through(struct connection *c)
{
    turn_leave(&c->line->turn);
    c->line = NULL;
    c->state = CONNECTION_READY;
    count_waiting(c->all, -1);
}

/* ---- what a client wants ---- */

static void set_low_water(uv_os_fd_t fd, int bytes)
{
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

/* Leaves it for git daemon. -ECONNRESET when there will be no more: it is readable, for its end,
 * and nothing has come. */
static int peek(struct connection *c, uv_os_fd_t fd, enum request_state *state,
                struct git_request *request)
{
    char text[REQUEST_MAX];
    ssize_t n = recv(fd, text, sizeof text, MSG_PEEK | MSG_DONTWAIT);

    *state = REQUEST_MORE;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0 || (size_t)n == c->seen)
        return -ECONNRESET;
    c->seen = (size_t)n;
    *state = request_read(text, (size_t)n, request);
    if (*state == REQUEST_MORE)
        set_low_water(fd, (int)n + 1); /* not the same again */
    return 0;
}

static bool is_allowed(const struct upstream *upstream, const char *service)
{
    return strcmp(service, "upload-pack") == 0 ? upstream->fetch_allow : upstream->push.allow;
}

/* What it would have refreshed. NULL when there is no such repository or the service is denied: git
 * daemon and the access hook know what to say. */
static const struct upstream *find_upstream(const struct connections *all,
                                            const struct git_request *request)
{
    static const char *const endings[] = {"", ".git"}; /* git daemon tries both */
    char dir[PATH_MAX], repo[PATH_MAX];

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const struct upstream *upstream = NULL;

        if (path_make(dir, NULL, "%s%s%s", all->gate->repos_dir, request->path, endings[i]) == 0)
            upstream = gate_upstream_at(all->gate, dir, repo, NULL);
        if (upstream)
            return is_allowed(upstream, request->service) ? upstream : NULL;
    }
    return NULL;
}

static void join_line(struct connection *c, const struct git_request *request)
{
    const struct upstream *upstream = find_upstream(c->all, request);
    struct line *line = upstream ? make_line(c->all, upstream->name) : NULL;

    if (line)
        arrive(c, line);
}

/* Whether there is more to wait for. Who closes before it has said anything, as a probe does, gets
 * no process. */
static bool look(struct connection *c)
{
    struct git_request request;
    enum request_state state;
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&c->socket, &fd) < 0 || peek(c, fd, &state, &request) < 0) {
        connection_drop(c);
        return false;
    }
    if (state == REQUEST_MORE)
        return true;
    set_low_water(fd, 1);
    c->arrived_ns = clock_now_ns();
    c->awaited_ns = 0;
    c->state = CONNECTION_READY;
    c->fetches = state == REQUEST_WHOLE && strcmp(request.service, "upload-pack") == 0;
    if (state == REQUEST_WHOLE)
        join_line(c, &request);
    go_on(c->all);
    return false;
}

/* ---- who is next ---- */

/* The one that has come first. */
static struct connection *find_oldest(const struct connections *all, enum connection_state state,
                                      const struct line *line, size_t *n)
{
    struct connection *found = NULL;

    *n = 0;
    for (struct connection *c = all->first; c; c = c->next)
        if (c->state == state && (!line || c->line == line)) {
            found = c;
            ++*n;
        }
    return found;
}

static void lead(struct line *line, struct connection *c, uint64_t now_ns)
{
    if (line->leader) /* takes too long */
        line->leader->line = NULL;
    let_through(c);
    turn_begin(&line->turn, now_ns);
    line->leader = c;
    c->line = line;
}

/* Lets those through whose turn it is, and has itself called when the next one's is. */
static void take_turns(struct connections *all)
{
    uint64_t now_ns = clock_now_ns(), next_ns = UINT64_MAX;
    size_t n;

    for (struct line *line = all->lines; line; line = line->next) {
        struct connection *c = NULL;

        if (turn_due(&line->turn) <= now_ns)
            c = find_oldest(all, CONNECTION_WAITS, line, &n);
        if (c)
            lead(line, c, now_ns);
        if (turn_due(&line->turn) < next_ns)
            next_ns = turn_due(&line->turn);
    }
    if (next_ns == UINT64_MAX)
        uv_timer_stop(&all->turn_comes);
    else /* rounded up: not just before it */
        uv_timer_start(&all->turn_comes, all->on_turn, (next_ns - now_ns) / 1000000u + 1, 0);
}

/* A process is slow to start on a busy machine, and who is in the listener's queue meanwhile has
 * not come as far as we know, and would not share what is asked now. So after each, all who are
 * there are taken in before the next one is served. */
static void on_events(uv_check_t *check)
{
    struct connections *all = check->data;
    struct connection *c;
    size_t n;

    take_turns(all);
    c = find_oldest(all, CONNECTION_READY, NULL, &n);
    if (n <= 1) {
        uv_check_stop(check);
        uv_idle_stop(&all->not_blocking);
    }
    if (c)
        connection_serve(c);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* while there is one, the loop looks for events and doesn't wait for them */
}

static void go_on(struct connections *all)
{
    uv_check_start(&all->after_events, on_events);
    uv_idle_start(&all->not_blocking, on_idle);
}

static void on_turn(uv_timer_t *timer)
{
    go_on(timer->data);
}

/* ---- the ways in and out ---- */

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct connection *c = poll->data;

    (void)events;
    if (status < 0)
        connection_drop(c);
    else if (!look(c))
        connection_unwatch(c);
}

static void on_silent(uv_timer_t *timer)
{
    connection_drop(timer->data);
}

void queue_join(struct connection *c)
{
    if (!look(c))
        return;
    if (connection_watch(c, on_readable) < 0)
        connection_drop(c);
    else
        uv_timer_start(&c->life, on_silent, REQUEST_TIMEOUT_MS, 0);
}

static void end_turn(struct line *line)
{
    turn_end(&line->turn, clock_now_ns());
    line->leader->line = NULL;
    line->leader = NULL;
}

void queue_leave(struct connection *c)
{
    struct line *line = c->line; /* whoever waits has no end before it was let through */

    if (line && line->leader == c) {
        end_turn(line);
        go_on(c->all);
    }
}

void queue_refreshed(struct connections *all, int session, const char *name, uint64_t asked_ns)
{
    struct line *line = find_line(all, name);

    if (!line)
        return;
    for (struct connection *c = all->first; c; c = c->next)
        if (c->line == line && c->state == CONNECTION_WAITS && c->arrived_ns <= asked_ns)
            let_through(c);
    if (line->leader && line->leader->process.pid == session)
        end_turn(line);
    go_on(all);
}

void queue_init(struct connections *all)
{
    uv_check_init(all->loop, &all->after_events);
    uv_idle_init(all->loop, &all->not_blocking);
    uv_timer_init(all->loop, &all->turn_comes);
    all->after_events.data = all->turn_comes.data = all;
    all->on_turn = on_turn;
}
