#include "serve/journal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "event.h"
#include "serve/operation.h"

#define SESSION_TEXT 16

/* ---- metrics ---- */

static void make_metrics(struct journal *j)
{
    struct metrics *m = j->metrics = metrics_new();

    j->connections = metrics_gauge(m, "gitgate_gate_connections", "Clients that are served.", NULL);
    j->waiting = metrics_gauge(m, "gitgate_gate_waiting",
                               "Clients that wait for their turn to refresh, or for a refresh that "
                               "they share.",
                               NULL);
    j->connections_total =
        metrics_counter(m, "gitgate_gate_connections_total", "Clients that came.", NULL);
    j->fetches = metrics_counter(m, "gitgate_gate_fetches_total",
                                 "Fetches by what came of them, listing refs included.",
                                 LABELS("repo", "result"));
    j->pushes = metrics_counter(m, "gitgate_gate_pushes_total", "Pushes by what came of them.",
                                LABELS("repo", "result"));
    j->findings =
        metrics_counter(m, "gitgate_gate_findings_total",
                        "What refused pushes, by the rule that found it.", LABELS("rule"));
    j->refreshes =
        metrics_counter(m, "gitgate_gate_refreshes_total",
                        "Refreshes from the upstream: ok, failed, or shared with another client's.",
                        LABELS("repo", "result"));
    j->refresh_seconds = metrics_histogram(m, "gitgate_gate_refresh_seconds",
                                           "Time that clients wait for a refresh, by repository.",
                                           LABELS("repo"), metrics_seconds, METRICS_SECONDS_N);
    j->phase_seconds = metrics_histogram(m, "gitgate_gate_push_phase_seconds",
                                         "Time of a push in each of its phases.", LABELS("phase"),
                                         metrics_seconds, METRICS_SECONDS_N);
    j->mirror_up =
        metrics_gauge(m, "gitgate_gate_mirror_up",
                      "1 when the last refresh from the upstream succeeded.", LABELS("repo"));
    j->mirror_bytes =
        metrics_gauge(m, "gitgate_gate_mirror_bytes",
                      "Objects of a mirror on the disk, at its last maintenance.", LABELS("repo"));
    j->mirror_packs =
        metrics_gauge(m, "gitgate_gate_mirror_packs", "Packs of a mirror, then.", LABELS("repo"));
    j->maintenance = metrics_counter(m, "gitgate_gate_maintenance_total",
                                     "Maintenance in the background by what came of it.",
                                     LABELS("repo", "result"));
    j->mirror_asked = metrics_gauge(m, "gitgate_gate_mirror_refreshed_timestamp_seconds",
                                    "When the last refresh succeeded.", LABELS("repo"));
}

static void count_refresh(struct journal *j, const json_t *event, double seconds)
{
    const char *repo = operation_text(event, "repo");
    bool ok = strcmp(operation_text(event, "result"), "ok") == 0;
    bool shared = json_is_true(json_object_get(event, "shared"));

    metric_add(j->refreshes, 1, LABELS(repo, shared ? "shared" : ok ? "ok" : "failed"));
    metric_observe(j->refresh_seconds, seconds, LABELS(repo));
    metric_set(j->mirror_up, ok, LABELS(repo));
    if (ok)
        metric_set(j->mirror_asked, (double)time(NULL), LABELS(repo));
}

static void take_maintenance(struct journal *j, const json_t *event)
{
    const char *repo = operation_text(event, "repo"), *result = operation_text(event, "result");
    enum log_level level = strcmp(result, "failed") == 0 ? LOG_WARN_ : LOG_INFO_;

    metric_add(j->maintenance, 1, LABELS(repo, result));
    metric_set(j->mirror_bytes, json_number_value(json_object_get(event, "bytes")), LABELS(repo));
    metric_set(j->mirror_packs, json_number_value(json_object_get(event, "packs")), LABELS(repo));
    log_line(&j->gate->log, level, "maintenance", json_copy((json_t *)event));
}

static void count_phase(struct journal *j, const json_t *event)
{
    const char *phase = operation_text(event, "phase");
    double seconds = json_number_value(json_object_get(event, "ms")) / 1000;
    json_t *rule;
    size_t i;

    /* What was denied did not ask the upstream. */
    if (strcmp(phase, "refresh") == 0 && strcmp(operation_text(event, "result"), "denied") != 0)
        count_refresh(j, event, seconds);
    if (strcmp(phase, "refresh") != 0 ||
        strcmp(operation_text(event, "service"), "receive-pack") == 0)
        metric_observe(j->phase_seconds, seconds, LABELS(phase));
    json_array_foreach(json_object_get(event, "rules"), i, rule)
        metric_add(j->findings, 1, LABELS(json_string_value(rule)));
}

/* ---- lines ---- */

static bool went_well(const char *result)
{
    return strcmp(result, "ok") == 0 || strcmp(result, "nothing") == 0;
}

/* Steals the operation. */
static void finish(struct journal *j, json_t *operation, int64_t exit_code, double total_ms)
{
    static const char *const names[] = {
        [OPERATION_FETCH] = "fetch", [OPERATION_PUSH] = "push", [OPERATION_MIRROR] = "mirror"};
    enum operation_kind kind = operation_kind(operation);
    const char *repo = operation_text(operation, "repo"), *result;

    if (kind == OPERATION_NONE) { /* a port scan, or a repository that is not there */
        json_decref(operation);
        return;
    }
    operation_end(operation, exit_code, total_ms);
    result = operation_text(operation, "result");
    if (kind != OPERATION_MIRROR)
        metric_add(kind == OPERATION_PUSH ? j->pushes : j->fetches, 1, LABELS(repo, result));
    if (j->on_operation)
        j->on_operation(j->data, operation);
    log_line(&j->gate->log, went_well(result) ? LOG_INFO_ : LOG_WARN_, names[kind], operation);
}

/* ---- events ---- */

static void session_key(int session, char to[SESSION_TEXT])
{
    snprintf(to, SESSION_TEXT, "%d", session);
}

/* Who waits is told when the upstream was asked, which is for nobody's log. */
static void tell_refreshed(struct journal *j, json_t *event)
{
    json_int_t asked_ns = json_integer_value(json_object_get(event, "asked_ns"));

    if (asked_ns > 0 && j->on_refreshed)
        j->on_refreshed(j->hooks_data, (int)json_integer_value(json_object_get(event, "session")),
                        operation_text(event, "repo"), (uint64_t)asked_ns);
    json_object_del(event, "asked_ns");
}

/* What belongs to no connection has a line at once: a first mirror, or a hook that outlived its
 * git daemon. */
static void take(struct journal *j, json_t *event)
{
    int session = (int)json_integer_value(json_object_get(event, "session"));
    const char *phase = operation_text(event, "phase");
    char key[SESSION_TEXT];
    json_t *operation;

    if (strcmp(phase, "maintain") == 0) {
        take_maintenance(j, event);
        return;
    }
    if (strcmp(phase, "received") == 0) {
        if (j->on_received)
            j->on_received(j->hooks_data, session);
        return;
    }
    session_key(session, key);
    count_phase(j, event);
    tell_refreshed(j, event);
    operation = json_object_get(j->operations, key);
    if (operation) {
        operation_add(operation, event);
        return;
    }
    operation = operation_new();
    operation_add(operation, event);
    finish(j, operation, 0, json_number_value(json_object_get(event, "ms")));
}

static void read_events(struct journal *j)
{
    json_t *event;

    while ((event = event_receive(j->read_end))) {
        take(j, event);
        json_decref(event);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    read_events(poll->data);
}

void journal_begin(struct journal *j, int session)
{
    char key[SESSION_TEXT];

    session_key(session, key);
    json_object_set_new(j->operations, key, operation_new());
    metric_add(j->connections_total, 1, NULL);
    metric_set(j->connections, (double)json_object_size(j->operations), NULL);
}

void journal_end(struct journal *j, int session, int64_t exit_code, double total_ms)
{
    char key[SESSION_TEXT];
    json_t *operation;

    read_events(j); /* what it sent before its end */
    session_key(session, key);
    operation = json_incref(json_object_get(j->operations, key));
    json_object_del(j->operations, key);
    metric_set(j->connections, (double)json_object_size(j->operations), NULL);
    if (operation)
        finish(j, operation, exit_code, total_ms);
}

void journal_waiting(struct journal *j, size_t n)
{
    metric_set(j->waiting, (double)n, NULL);
}

void journal_forget(struct journal *j, const char *repo)
{
    metric_drop(j->mirror_up, LABELS(repo));
    metric_drop(j->mirror_asked, LABELS(repo));
    metric_drop(j->mirror_bytes, LABELS(repo));
    metric_drop(j->mirror_packs, LABELS(repo));
}

int journal_open(struct journal *j, uv_loop_t *loop, const struct gate *gate, struct error *err)
{
    int r = event_pair(&j->read_end, &j->write_end, err);

    if (r < 0)
        return r;
    j->gate = gate;
    j->operations = json_object();
    if (!j->operations)
        return error_errno(err, -ENOMEM, "cannot keep a journal");
    make_metrics(j);
    uv_poll_init(loop, &j->poll, j->read_end);
    j->poll.data = j;
    uv_poll_start(&j->poll, UV_READABLE, on_readable);
    return 0;
}
