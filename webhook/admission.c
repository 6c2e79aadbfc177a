#include "admission.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api/names.h"
#include "base/cleanup.h"
#include "data/json_text.h"
#include "inject.h"
#include "validate.h"

#define LOG_MEMBERS_MAX 16000 /* a reason of 4096 bytes, most of them escaped */
#define LINE_USUAL 400

/* A patch in base64, and a reason. */
#define ANSWER_MAX (PATCH_MAX / 3 * 4 + (64u << 10))

/* Most answers take a fraction of a millisecond, those with a look-up a few. */
#define SECONDS_N 9
static const double seconds[SECONDS_N] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                          0.01,   0.05,    0.5,    2.5};

typedef void decide_fn(const struct review *review, struct gate_list gates,
                       const struct inject_options *options, struct decision *ret);

/* A call of the API server until it is answered. */
struct call {
    struct admission *admission;
    struct exchange *exchange;
    const char *verb; /* for the log */
    decide_fn *decide;
    bool namespace_enabled;
    uint64_t began; /* uv_hrtime */
    struct review review;
};

static void free_call(struct call **call)
{
    if (*call)
        review_done(&(*call)->review);
    free(*call);
}

#define cleanup_call CLEANUP(free_call)

static void answer_line(struct exchange *exchange, int status, const char *text)
{
    cleanup_buf struct buf line = BUF_INIT(ERROR_MSG_MAX + 1);

    buf_addf(&line, "%s\n", text);
    exchange_answer(exchange, status, "text/plain; charset=utf-8", line.data, line.len);
}

static const char *result_of(const struct decision *decision)
{
    if (!decision->allowed)
        return "refused";
    return decision->patch.n > 0 ? "patched" : "allowed";
}

static void add_member(struct buf *line, const char *key, const char *value)
{
    buf_adds(line, line->len ? ",\"" : "\"");
    buf_adds(line, key);
    buf_adds(line, "\":");
    json_text_write(line, value, strlen(value));
}

/* One line a decision, never the object. */
static void log_decision(const struct call *call, const struct decision *decision)
{
    const struct review *review = &call->review;
    cleanup_buf struct buf line = BUF_INIT(LOG_MEMBERS_MAX);

    buf_reserve(&line, LINE_USUAL);
    add_member(&line, "verb", call->verb);
    add_member(&line, "operation", review->operation);
    add_member(&line, "kind", review->kind);
    add_member(&line, "namespace", review->namespace_);
    add_member(&line, "name", review->name);
    add_member(&line, "gate", decision->gate);
    add_member(&line, "result", result_of(decision));
    if (!decision->allowed)
        add_member(&line, "reason", decision->reason.data);
    log_members(call->admission->log, LOG_INFO_, "admission",
                buf_error(&line) ? "\"result\":\"too long to be logged\"" : line.data);
}

static void count(const struct call *call, const struct decision *decision)
{
    const struct admission *admission = call->admission;

    metric_add(admission->requests, 1, LABELS(call->verb, result_of(decision)));
    metric_observe(admission->duration, (double)(uv_hrtime() - call->began) / 1e9,
                   LABELS(call->verb));
    if (!decision->allowed)
        metric_add(admission->refusals, 1, LABELS(decision->refusal ? decision->refusal : "other"));
}

static void answer(const struct call *call, const struct decision *decision)
{
    cleanup_buf struct buf text = BUF_INIT(ANSWER_MAX);

    if (!decision->err)
        review_answer(&call->review, decision, &text);
    if (decision->err || buf_error(&text)) {
        answer_line(call->exchange, 500,
                    decision->err == -EIO ? "no random bytes: try again"
                                          : "out of memory: try again");
        return;
    }
    log_decision(call, decision);
    count(call, decision);
    exchange_answer(call->exchange, 200, "application/json", text.data, text.len);
}

static void decide(const struct call *call, struct gate_list gates, struct decision *ret)
{
    struct inject_options options = {.parts = call->admission->parts,
                                     .namespace_enabled = call->namespace_enabled};

    /* Bytes of this number come at once and whole, but for a host that has just booted. */
    if (getrandom(&options.random, sizeof options.random, 0) != sizeof options.random) {
        ret->err = -EIO;
        return;
    }
    call->decide(&call->review, gates, &options, ret);
}

/* The watch's gates and those that were asked for, which it will tell of in a moment. */
static int with_found(struct gate_list known, struct gate_list found, struct gate_list *ret)
{
    struct gate **list = calloc(known.n + found.n + 1, sizeof *list);

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < known.n; i++)
        list[i] = known.gates[i];
    for (size_t i = 0; i < found.n; i++)
        list[known.n + i] = found.gates[i];
    *ret = (struct gate_list){list, known.n + found.n};
    return 0;
}

/* Not by the watch, and the API server did not say: it may be there all the same. */
static void tell_doubt(struct decision *decision)
{
    if (decision->missing)
        buf_adds(&decision->reason,
                 "; or try again: the API server didn't say whether it was made a moment ago");
}

static void on_looked_up(void *data, struct gate_list found, bool told)
{
    cleanup_call struct call *call = data;
    cleanup_decision struct decision decision = DECISION_INIT;
    struct gate_list known, gates = {NULL, 0};

    decision.err = gates_of(call->admission->gates, call->review.namespace_, &known);
    if (!decision.err)
        decision.err = with_found(known, found, &gates);
    if (!decision.err)
        decide(call, gates, &decision);
    if (!told)
        tell_doubt(&decision);
    answer(call, &decision);
    free((void *)gates.gates);
}

/* A gate made a moment before its pod may not have come by the watch yet. */
static bool look_up(struct call *call, const char *name)
{
    return lookups_ask(call->admission->lookups, call->review.namespace_, name, on_looked_up, call);
}

static void run(struct call *given)
{
    cleanup_call struct call *call = given;
    cleanup_decision struct decision decision = DECISION_INIT;
    struct gate_list gates;

    decision.err = gates_of(call->admission->gates, call->review.namespace_, &gates);
    if (!decision.err)
        decide(call, gates, &decision);
    if (decision.missing && gitgate_name_valid(decision.gate)) {
        if (look_up(call, decision.gate)) {
            call = NULL;
            return;
        }
        tell_doubt(&decision);
    }
    answer(call, &decision);
}

static void start(struct admission *admission, struct exchange *exchange, char *body, size_t len,
                  struct call template)
{
    cleanup_call struct call *call = malloc(sizeof *call);
    struct error err = ERROR_INIT;

    if (!call) {
        answer_line(exchange, 500, "out of memory: try again");
        return;
    }
    *call = template;
    call->admission = admission;
    call->exchange = exchange;
    call->began = uv_hrtime();
    if (!gates_synced(admission->gates)) {
        metric_add(admission->requests, 1, LABELS(call->verb, "not-ready"));
        answer_line(exchange, 503, "gitgate has not read the GitGates yet: try again");
    } else if (review_parse(body, len, &call->review, &err) < 0) {
        metric_add(admission->requests, 1, LABELS(call->verb, "bad-request"));
        answer_line(exchange, 400, err.msg);
    } else {
        run(TAKE_PTR(call));
    }
}

static void mutate_pod(void *data, struct exchange *exchange, char *body, size_t len)
{
    start(data, exchange, body, len, (struct call){.verb = "mutate-pod", .decide = inject});
}

static void mutate_enabled_pod(void *data, struct exchange *exchange, char *body, size_t len)
{
    start(data, exchange, body, len,
          (struct call){.verb = "mutate-pod", .decide = inject, .namespace_enabled = true});
}

static void validate_any_pod(void *data, struct exchange *exchange, char *body, size_t len)
{
    start(data, exchange, body, len, (struct call){.verb = "validate-pod", .decide = validate_pod});
}

static void validate_enabled_pod(void *data, struct exchange *exchange, char *body, size_t len)
{
    start(data, exchange, body, len,
          (struct call){.verb = "validate-pod", .decide = validate_pod, .namespace_enabled = true});
}

static void decide_gitgate(const struct review *review, struct gate_list gates,
                           const struct inject_options *options, struct decision *ret)
{
    (void)gates;
    (void)options;
    validate_gitgate(review, ret);
}

static void validate_any_gitgate(void *data, struct exchange *exchange, char *body, size_t len)
{
    start(data, exchange, body, len,
          (struct call){.verb = "validate-gitgate", .decide = decide_gitgate});
}

/* A review doesn't say how the pod's namespace is labelled. The API server knows: the webhook
 * configuration sends pods of enabled namespaces to paths of their own. */
void admission_routes(struct admission *admission, struct server_route ret[ADMISSION_ROUTES_MAX])
{
    const struct server_route routes[ADMISSION_ROUTES_MAX] = {
        {"/mutate-pod", mutate_pod, admission},
        {"/mutate-pod/enabled", mutate_enabled_pod, admission},
        {"/validate-pod", validate_any_pod, admission},
        {"/validate-pod/enabled", validate_enabled_pod, admission},
        {"/validate-gitgate", validate_any_gitgate, admission},
        {NULL, NULL, NULL},
    };

    memcpy(ret, routes, sizeof routes);
}

void admission_metrics(struct admission *admission, struct metrics *metrics)
{
    admission->requests =
        metrics_counter(metrics, "gitgate_webhook_admission_requests_total",
                        "Reviews answered, by what came of them.", LABELS("verb", "result"));
    admission->duration = metrics_histogram(metrics, "gitgate_webhook_admission_duration_seconds",
                                            "From a review's last byte to its answer.",
                                            LABELS("verb"), seconds, SECONDS_N);
    admission->refusals =
        metrics_counter(metrics, "gitgate_webhook_admission_refusals_total",
                        "Reviews answered with a refusal, by its kind.", LABELS("reason"));
}

bool admission_ready(const struct admission *admission)
{
    return gates_synced(admission->gates);
}
