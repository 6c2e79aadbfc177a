#include "measure.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

/* controller-runtime's, but for its finer steps: those are for hosts of many controllers. */
static const double seconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

static const char *const results[] = {"success", "error", "requeue_after"};

/* "host:port" of a URL. */
static void set_host(struct measure *measure, const char *server)
{
    const char *start = strstr(server, "://");

    start = start ? start + 3 : server;
    snprintf(measure->host, sizeof measure->host, "%.*s", (int)strcspn(start, "/"), start);
}

static void make_reconcile(struct measure *measure, struct metrics *metrics, unsigned workers)
{
    struct metric *most;

    measure->reconciles = metrics_counter(metrics, "gitgate_controller_reconcile_total",
                                          "Reconciles of a GitGate, by what came of them.",
                                          LABELS("controller", "result"));
    measure->errors = metrics_counter(metrics, "gitgate_controller_reconcile_errors_total",
                                      "Reconciles that will be tried again.", LABELS("controller"));
    measure->seconds =
        metrics_histogram(metrics, "gitgate_controller_reconcile_time_seconds",
                          "From a reconcile's first look to its last answer.", LABELS("controller"),
                          seconds, sizeof seconds / sizeof *seconds);
    measure->active = metrics_gauge(metrics, "gitgate_controller_active_workers",
                                    "GitGates in work.", LABELS("controller"));
    most = metrics_gauge(metrics, "gitgate_controller_max_concurrent_reconciles",
                         "GitGates that may be in work at once.", LABELS("controller"));
    metric_set(most, workers, LABELS(MEASURE_NAME));
    metric_set(measure->active, 0, LABELS(MEASURE_NAME));
    metric_add(measure->errors, 0, LABELS(MEASURE_NAME));
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        metric_add(measure->reconciles, 0, LABELS(MEASURE_NAME, results[i]));
}

void measure_init(struct measure *measure, struct metrics *metrics, const char *server,
                  unsigned workers)
{
    *measure = (struct measure){0};
    set_host(measure, server);
    make_reconcile(measure, metrics, workers);
    measure->leads =
        metrics_gauge(metrics, "leader_election_master_status",
                      "1: this process holds the Lease and works; 0: another may.", LABELS("name"));
    measure->requests = metrics_counter(
        metrics, "rest_client_requests_total",
        "Answers of the API server, by status code (\"<error>\": none came), method and host.",
        LABELS("code", "method", "host"));
    measure->unreadable =
        metrics_counter(metrics, "gitgate_unreadable_objects_total",
                        "Objects that the API server told of and that can't be read: the log names "
                        "them.",
                        LABELS("resource"));
}

void measure_begin(struct measure *measure)
{
    metric_set(measure->active, ++measure->working, LABELS(MEASURE_NAME));
}

void measure_cancel(struct measure *measure)
{
    metric_set(measure->active, --measure->working, LABELS(MEASURE_NAME));
}

void measure_end(struct measure *measure, enum outcome outcome, uint64_t begun)
{
    measure_cancel(measure);
    metric_add(measure->reconciles, 1, LABELS(MEASURE_NAME, results[outcome]));
    if (outcome == OUTCOME_ERROR)
        metric_add(measure->errors, 1, LABELS(MEASURE_NAME));
    metric_observe(measure->seconds, (double)(uv_hrtime() - begun) / 1e9, LABELS(MEASURE_NAME));
}

void measure_leads(struct measure *measure, const char *lease, bool leads)
{
    metric_set(measure->leads, leads, LABELS(lease));
}

void measure_answer(void *data, const char *method, int status)
{
    const struct measure *measure = data;
    char code[16];

    snprintf(code, sizeof code, "%d", status);
    metric_add(measure->requests, 1, LABELS(status ? code : "<error>", method, measure->host));
}

void measure_unreadable(struct measure *measure, const struct kube_resource *resource)
{
    metric_add(measure->unreadable, 1, LABELS(resource->plural));
}
