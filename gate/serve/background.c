#include "serve/background.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"
#include "serve/operation.h"

#define MIRRORS_MAX 2 /* at a time: they are to leave room for clients */
/* Changes after which a look is worth a process. */
#define CHANGES_MAX 25
/* Nobody keeps the gate at it by pushes that break off. */
#define REST_MS 20000ull
#define LOOK_MS (3600 * 1000ull) /* what has changed less than that is looked at in its time */

/* A fetch or a push that failed may have met a damaged mirror; more often it is a client that went
 * away, and to look means to read all that is there. */
#define CHECK_REST_MS (600 * 1000ull)

/* ---- a child ---- */

struct job {
    uv_process_t process;
    struct background *background;
    void (*ended)(struct background *background);
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_exit_(uv_process_t *process, int64_t status, int term_signal)
{
    struct job *job = process->data;

    (void)status; /* logged by whom it failed */
    (void)term_signal;
    job->ended(job->background);
    uv_close((uv_handle_t *)process, on_closed);
}

/* This program with another verb. */
static int start(struct background *b, const char *const *argv,
                 void (*ended)(struct background *background))
{
    struct job *job = calloc(1, sizeof *job);
    uv_stdio_container_t stdio[CHILD_FDS];
    uv_process_options_t options = {.file = "/proc/self/exe",
                                    .args = (char **)argv,
                                    .env = b->connections->env.list,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio = stdio,
                                    .stdio_count = CHILD_FDS,
                                    .exit_cb = on_exit_};
    int r;

    if (!job)
        return -ENOMEM;
    job->background = b;
    job->ended = ended;
    job->process.data = job;
    connections_child_fds(b->connections, stdio, -1, -1);
    r = uv_spawn(b->connections->loop, &job->process, &options);
    if (r < 0) {
        log_warn(&b->connections->gate->log, "cannot start work in the background",
                 json_pack("{s:s, s:s}", "verb", argv[1], "error", uv_strerror(r)));
        uv_close((uv_handle_t *)&job->process, on_closed);
    }
    return r;
}

/* Where the repository of an upstream is that the gate still has. */
static bool find_repo(const struct background *b, const char *name, char repo[PATH_MAX])
{
    const struct gate *gate = b->connections->gate;
    const struct upstream *upstream = gitgate_upstream(&gate->spec, name);

    return upstream && gate_repo_path(gate, upstream, repo, NULL) == 0;
}

/* ---- first mirrors ---- */

static void start_mirrors(struct background *b);

static void mirror_ended(struct background *b)
{
    b->mirroring--;
    start_mirrors(b);
}

static void start_mirrors(struct background *b)
{
    while (b->mirroring < MIRRORS_MAX && json_array_size(b->to_mirror) > 0) {
        const char *name = json_string_value(json_array_get(b->to_mirror, 0));
        char repo[PATH_MAX];

        if (find_repo(b, name, repo) &&
            start(b, (const char *const[]){"gitgate-gate", "refresh", "mirror", repo, NULL},
                  mirror_ended) == 0)
            b->mirroring++;
        json_array_remove(b->to_mirror, 0);
    }
}

void background_mirror(struct background *b, const struct upstream *upstream)
{
    const char *url = json_string_value(json_object_get(b->mirrored, upstream->name));

    if (url && strcmp(url, upstream->url_text) == 0)
        return;
    json_object_set_new(b->mirrored, upstream->name, json_string(upstream->url_text));
    json_array_append_new(b->to_mirror, json_string(upstream->name));
    start_mirrors(b);
}

bool background_has_mirrored(const struct background *b)
{
    return b->mirroring == 0 && json_array_size(b->to_mirror) == 0;
}

/* ---- maintenance ---- */

static void maintain_next(struct background *b);

static void maintenance_ended(struct background *b)
{
    b->maintaining = false;
    maintain_next(b);
}

static void on_rested(uv_timer_t *timer)
{
    maintain_next(timer->data);
}

/* Whether what `times` has of the repository is that long ago. */
static bool is_rested(const json_t *times, const char *name, uint64_t rest_ms)
{
    uint64_t began = (uint64_t)json_integer_value(json_object_get(times, name));

    return began == 0 || clock_now_ns() - began > rest_ms * 1000000u;
}

static void set_time(json_t *times, const char *name)
{
    json_object_set_new(times, name, json_integer((json_int_t)clock_now_ns()));
}

/* A repository that has seen enough changes, and that was not looked at just now. */
static const char *choose(struct background *b)
{
    const char *name, *chosen = NULL;
    json_t *changes;

    json_object_foreach(b->changes, name, changes) {
        if (json_integer_value(changes) < CHANGES_MAX)
            continue;
        if (is_rested(b->maintained, name, REST_MS))
            chosen = name;
        else if (!uv_is_active((uv_handle_t *)&b->rest))
            uv_timer_start(&b->rest, on_rested, REST_MS, 0);
    }
    return chosen;
}

static int start_maintenance(struct background *b, const char *name, const char *repo)
{
    const char *argv[5] = {"gitgate-gate", "maintain"};
    size_t n = 2;

    if (json_object_get(b->suspects, name) && is_rested(b->checked, name, CHECK_REST_MS)) {
        set_time(b->checked, name);
        json_object_del(b->suspects, name);
        argv[n++] = "--check";
    }
    argv[n] = repo;
    return start(b, argv, maintenance_ended);
}

static void maintain_next(struct background *b)
{
    const char *chosen = b->maintaining ? NULL : choose(b);
    char repo[PATH_MAX];

    if (!chosen)
        return;
    set_time(b->maintained, chosen);
    b->maintaining = find_repo(b, chosen, repo) && start_maintenance(b, chosen, repo) == 0;
    json_object_del(b->changes, chosen);
}

static bool is_suspicious(const json_t *operation)
{
    const char *result = operation_text(operation, "result");

    return strcmp(result, "failed") == 0 || strcmp(result, "scan-failed") == 0;
}

/* What got stuck may have left what has to be swept: it counts for many. */
static json_int_t weight_of(const json_t *operation)
{
    enum operation_kind kind = operation_kind(operation);
    const char *result = operation_text(operation, "result");

    bool changed = json_is_true(json_object_get(operation, "changed"));

    if (kind == OPERATION_MIRROR || is_suspicious(operation)) /* what there is now is to be known */
        return CHANGES_MAX;
    if (changed && strcmp(result, "unavailable") == 0) /* a fetch from the upstream broke off */
        return CHANGES_MAX;
    if (kind == OPERATION_PUSH)
        return strcmp(result, "nothing") != 0;
    return changed;
}

static void on_operation(void *data, const json_t *operation)
{
    struct background *b = data;
    const char *repo = operation_text(operation, "repo");
    json_int_t before = json_integer_value(json_object_get(b->changes, repo));
    json_int_t weight = weight_of(operation);

    if (weight == 0)
        return;
    if (is_suspicious(operation))
        json_object_set_new(b->suspects, repo, json_true());
    json_object_set_new(b->changes, repo, json_integer(before + weight));
    maintain_next(b);
}

/* ---- former upstreams ---- */

/* Of an object whose keys are upstreams' names. */
static void drop_former(const struct background *b, json_t *object)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, name, value)
        if (!gitgate_upstream(&b->connections->gate->spec, name)) {
            journal_forget(b->connections->journal, name);
            json_object_del(object, name);
        }
}

static void forgotten(struct background *b)
{
    b->forgetting = false;
    if (b->forget_again)
        background_forget(b);
    b->on_forgotten(b->data);
}

void background_forget(struct background *b)
{
    json_t *const all[] = {b->mirrored, b->changes, b->maintained, b->suspects, b->checked};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        drop_former(b, all[i]);
    b->forget_again = b->forgetting;
    b->forgetting = b->forgetting ||
                    start(b, (const char *const[]){"gitgate-gate", "forget", NULL}, forgotten) == 0;
}

/* ---- start ---- */

static void on_hour(uv_timer_t *timer)
{
    struct background *b = timer->data;
    const char *name;
    json_t *changes;

    json_object_foreach(b->changes, name, changes)
        json_integer_set(changes, CHANGES_MAX);
    maintain_next(b);
}

int background_init(struct background *b, struct connections *connections, struct error *err)
{
    b->connections = connections;
    b->mirrored = json_object();
    b->to_mirror = json_array();
    b->changes = json_object();
    b->maintained = json_object();
    b->suspects = json_object();
    b->checked = json_object();
    if (!b->mirrored || !b->to_mirror || !b->changes || !b->maintained || !b->suspects ||
        !b->checked)
        return error_errno(err, -ENOMEM, "cannot work in the background");
    connections->journal->on_operation = on_operation;
    connections->journal->data = b;
    uv_timer_init(connections->loop, &b->hourly);
    uv_timer_init(connections->loop, &b->rest);
    b->hourly.data = b->rest.data = b;
    uv_timer_start(&b->hourly, on_hour, LOOK_MS, LOOK_MS);
    return 0;
}
