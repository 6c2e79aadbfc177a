#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kept.h"
#include "kube/apply.h"
#include "kube/object.h"
#include "news.h"
#include "sources.h"
#include "state.h"

/* How long the first look-up of a host may hold up the objects that need no address. Most answer at
 * once; then each policy is written once and not twice. */
#define RESOLVE_WAIT_MS 1000u
#define MESSAGE_MAX (ERROR_MSG_MAX + 64)

struct job {
    struct controller *controller;
    struct job *next, **link;     /* in controller->jobs */
    struct gate_state *state;     /* stays: a key is in work once */
    struct kube_request *request; /* the one on its way: one at a time */
    char *ns, *name;
    uint64_t begun; /* uv_hrtime */

    json_t *object; /* the GitGate as it was when the job began */
    struct gitgate gate;
    bool decoded;
    struct problems problems;

    struct sources sources;
    size_t source; /* the one being read */
    bool read;     /* all are */
    json_t *secrets, *config_maps;

    struct digest made_from;
    struct census census;
    bool counted; /* census is known */
    struct plan plan;
    size_t step;               /* the one in hand */
    bool replaced;             /* its object's whole content, after the apply */
    const struct step *failed; /* the first that did */
    char message[MESSAGE_MAX]; /* why */
    bool again;                /* something did not go as planned: come again later */
    json_t *status;            /* being written */
    unsigned writes;
};

/* What reconcile is given: pointers into the stores, good until the loop runs on. */
struct view {
    struct resolved resolved[GITGATE_UPSTREAMS_MAX];
    const char *fixed[GITGATE_UPSTREAMS_MAX][2];
    struct render_sources sources;
    struct observed observed;
};

/* ---- Life --------------------------------------------------------------------------------- */

static void job_free(struct job *job)
{
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    plan_done(&job->plan);
    json_decref(job->status);
    json_decref(job->secrets);
    json_decref(job->config_maps);
    sources_done(&job->sources);
    problems_done(&job->problems);
    gitgate_done(&job->gate);
    json_decref(job->object);
    free(job->ns);
    free(job->name);
    free(job);
}

void jobs_cancel(struct controller *controller)
{
    while (controller->jobs) {
        struct job *job = controller->jobs;

        kube_request_cancel(job->request);
        queue_done(controller->queue, job->ns, job->name, QUEUE_FAILED, 0);
        measure_cancel(&controller->measure);
        job_free(job);
    }
}

static json_t *fields_of(const struct job *job)
{
    return json_pack("{s:s, s:s}", "namespace", job->ns, "gitgate", job->name);
}

static enum outcome outcome_of(enum queue_result result, uint64_t again_ms)
{
    if (result == QUEUE_FAILED)
        return OUTCOME_ERROR;
    return again_ms ? OUTCOME_REQUEUE_AFTER : OUTCOME_SUCCESS;
}

static void job_end(struct job *job, enum queue_result result, uint64_t again_ms)
{
    struct controller *controller = job->controller;

    if (job->writes) {
        json_t *fields = fields_of(job);

        json_object_set_new(fields, "writes", json_integer(job->writes));
        json_object_set_new(fields, "ms",
                            json_integer((json_int_t)((uv_hrtime() - job->begun) / 1000000)));
        log_info(controller->log, "reconciled", fields);
    }
    measure_end(&controller->measure, outcome_of(result, again_ms), job->begun);
    queue_done(controller->queue, job->ns, job->name, result, again_ms);
    job_free(job);
    controller_job_ended(controller);
}

static void job_fail(struct job *job, const char *what, const char *why)
{
    json_t *fields = fields_of(job);

    json_object_set_new(fields, "error", json_string(why));
    log_warn(job->controller->log, what, fields);
    job_end(job, QUEUE_FAILED, 0);
}

static void out_of_memory(struct job *job)
{
    job_fail(job, "reconcile failed, will try again", "memory is short");
}

/* ---- Status ------------------------------------------------------------------------------- */

static const char *metadata_of(const struct job *job, const char *key)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(job->object, "metadata"), key));

    return text ? text : "";
}

/* One that can't be read is as one that never came: the watch tells what was written. */
static void read_answer(const struct kube_response *response, struct document *ret)
{
    object_mend(response->body, response->len);
    document_parse(response->body, response->len, ret, NULL);
}

static void finish(struct job *job)
{
    job_end(job, job->again ? QUEUE_FAILED : QUEUE_OK, 0);
}

/* Before the new status is remembered as the present one. */
static void tell_news(struct job *job)
{
    json_auto_t *news = news_of(state_see_status(job->state, job->object), job->status,
                                job->counted ? &job->census : NULL);

    events_tell(job->controller, job->state, job->object, news);
}

static void on_status(void *data, const struct kube_response *response)
{
    struct job *job = data;

    job->request = NULL;
    if (response->err.code == -ENOENT) { /* deleted meanwhile: nobody to tell */
        finish(job);
    } else if (response->err.code) {
        job_fail(job, "status not written, will try again", response->err.msg);
    } else {
        cleanup_document struct document answer = DOCUMENT_INIT;
        const struct node *metadata;

        tell_news(job);
        read_answer(response, &answer);
        metadata = node_get(document_root(&answer), "metadata");
        job->writes++;
        state_wrote_status(job->state, metadata_of(job, "resourceVersion"),
                           node_string(node_get(metadata, "resourceVersion")), job->status);
        finish(job);
    }
}

static void write_status(struct job *job)
{
    struct error err = ERROR_INIT;
    json_auto_t *object =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:O}", "apiVersion", GITGATE_API_VERSION, "kind",
                  GITGATE_KIND, "metadata", "namespace", job->ns, "name", job->name, "uid",
                  metadata_of(job, "uid"), "status", job->status);

    if (!object) {
        out_of_memory(job);
        return;
    }
    job->request =
        kube_apply_status(job->controller->client, &kube_gitgates, object, on_status, job, &err);
    if (!job->request)
        job_fail(job, "status not written, will try again", err.msg);
}

/* ---- Steps -------------------------------------------------------------------------------- */

static void observe(struct job *job, struct view *view);
static void next_step(struct job *job);
static void on_step(void *data, const struct kube_response *response);

/* Conditions name the first thing that failed. */
static void note_failure(struct job *job, const struct step *step,
                         const struct kube_response *response)
{
    json_t *fields = fields_of(job);
    const struct kube_resource *resource = owned_types[step->which].resource;

    /* The API server's words may quote what it was sent. */
    char text[MESSAGE_MAX];
    if (resource == &kube_secrets && response->status)
        snprintf(text, sizeof text, "refused by the API server: %s (HTTP %d)",
                 *response->reason ? response->reason : "no reason given", response->status);
    else
        snprintf(text, sizeof text, "%s", response->err.msg);
    json_object_set_new(fields, "kind", json_string(resource->kind));
    json_object_set_new(fields, "error", json_string(text));
    log_warn(job->controller->log, "an object was not written, will try again", fields);
    job->again = true;
    if (job->failed || !response->status) /* no answer: nothing to say about the gate */
        return;
    job->failed = step;
    memcpy(job->message, text, sizeof text);
}

/* Nothing can be made there any more; soon the GitGate goes too. Said to nobody: it is no failure,
 * and there is nobody to act. */
static void leave_namespace(struct job *job)
{
    log_debug(job->controller->log, "the namespace is being deleted", fields_of(job));
    job_end(job, QUEUE_FAILED, 0);
}

/* Another object of that name, or a newer version: look again before anything is said. */
static bool is_conflict(const struct step *step, const struct kube_response *response)
{
    return response->status == 409 || (step->verb == STEP_UPDATE && response->status == 404);
}

/* What others put beside our fields is not ours to keep: a key that a program of the gate might
 * read, a label that narrows a policy's selector. Server-side apply leaves it; this replaces the
 * whole content of the very object that was applied. */
static json_t *content_patch(const struct step *step, const struct seen *seen)
{
    const char *part = json_object_get(step->object, "spec") ? "spec" : "data";
    json_t *patch = json_pack("[{s:s, s:s, s:s}, {s:s, s:s+, s:O}]", "op", "test", "path",
                              "/metadata/uid", "value", seen->uid, "op", "add", "path", "/", part,
                              "value", json_object_get(step->object, part));

    if (patch && owned_types[step->which].resource == &kube_config_maps)
        json_array_append_new(
            patch, json_pack("{s:s, s:s, s:{}}", "op", "add", "path", "/binaryData", "value"));
    return patch;
}

static bool replace_content(struct job *job, const struct step *step)
{
    const struct seen *seen = state_see(job->state, step->which);
    json_auto_t *patch = seen && seen->foreign ? content_patch(step, seen) : NULL;
    const char *name =
        json_string_value(json_object_get(json_object_get(step->object, "metadata"), "name"));

    if (!patch || job->replaced || step->verb == STEP_DELETE)
        return false;
    job->replaced = true;
    state_will_write(job->state, step->which);
    job->request = kube_json_patch(job->controller->client, owned_types[step->which].resource,
                                   job->ns, name, patch, on_step, job, NULL);
    return job->request;
}

static void note_step(struct job *job, const struct step *step,
                      const struct kube_response *response)
{
    cleanup_document struct document answer = DOCUMENT_INIT;

    job->writes++;
    if (step->verb != STEP_DELETE)
        read_answer(response, &answer);
    state_wrote(job->state, step->which, document_root(&answer));
}

static void on_step(void *data, const struct kube_response *response)
{
    struct job *job = data;
    const struct step *step = &job->plan.steps[job->step];
    bool done =
        response->err.code == 0 || (step->verb == STEP_DELETE && response->err.code == -ENOENT);

    job->request = NULL;
    if (response->terminating) {
        leave_namespace(job);
        return;
    }
    if (done)
        note_step(job, step, response);
    else if (is_conflict(step, response))
        job->again = true;
    else
        note_failure(job, step, response);
    if (done && replace_content(job, step))
        return;
    job->step++;
    job->replaced = false;
    next_step(job);
}

static struct kube_request *start_step(struct job *job, const struct step *step, struct error *err)
{
    const struct kube_resource *resource = owned_types[step->which].resource;
    const json_t *metadata = json_object_get(step->object, "metadata");

    if (step->verb != STEP_DELETE)
        return kube_apply(job->controller->client, resource, step->object, on_step, job, err);
    return kube_delete(job->controller->client, resource, job->ns,
                       json_string_value(json_object_get(metadata, "name")),
                       json_string_value(json_object_get(metadata, "uid")), on_step, job, err);
}

static void conclude(struct job *job)
{
    struct view view;

    if (job->failed) {
        observe(job, &view);
        job->status =
            reconcile_failed(&view.observed, &job->plan, job->failed, job->message, time(NULL));
    } else if (!job->again) {
        job->status = TAKE_PTR(job->plan.status);
    }
    if (job->status)
        write_status(job);
    else
        finish(job);
}

static void next_step(struct job *job)
{
    struct error err = ERROR_INIT;

    if (job->controller->stopping) { /* what is left is found again by who comes next */
        job_end(job, QUEUE_FAILED, 0);
        return;
    }
    if (job->step == job->plan.n_steps) {
        conclude(job);
        return;
    }
    state_will_write(job->state, job->plan.steps[job->step].which);
    job->request = start_step(job, &job->plan.steps[job->step], &err);
    if (!job->request)
        job_fail(job, "an object was not sent, will try again", err.msg);
}

/* ---- Reading the sources ------------------------------------------------------------------ */

static void make_plan(struct job *job);
static void read_next(struct job *job);

static int take_source(struct job *job, struct source *source, const struct kube_response *response)
{
    json_auto_t *object = NULL;
    const json_t *metadata;
    json_t *into = source->resource == &kube_secrets ? job->secrets : job->config_maps;

    if (response->status == 404)
        return source_set_version(source, NULL, NULL);
    object = json_loadb(response->body, response->len, JSON_REJECT_DUPLICATES, NULL);
    metadata = json_object_get(object, "metadata");
    if (json_object_set(into, source->name, object) < 0)
        return -ENOMEM;
    return source_set_version(source, json_string_value(json_object_get(metadata, "uid")),
                              json_string_value(json_object_get(metadata, "resourceVersion")));
}

static void on_source(void *data, const struct kube_response *response)
{
    struct job *job = data;

    job->request = NULL;
    if (response->err.code && response->err.code != -ENOENT)
        job_fail(job, "a source could not be read, will try again", response->err.msg);
    else if (take_source(job, &job->sources.list[job->source], response) < 0)
        out_of_memory(job);
    else {
        job->source++;
        read_next(job);
    }
}

/* One after the other: most gates have few. What the watch doesn't know is not asked for: it tells
 * when it appears. */
static void read_next(struct job *job)
{
    struct source *list = job->sources.list;
    struct kube_request_spec how = {.done = on_source, .data = job};
    struct error err = ERROR_INIT;

    while (job->source < job->sources.n && !list[job->source].version)
        job->source++;
    if (job->source == job->sources.n) {
        job->read = true;
        job->made_from = sources_digest(&job->gate, &job->sources);
        make_plan(job);
        return;
    }
    job->request = kube_get(job->controller->client, list[job->source].resource, job->ns,
                            list[job->source].name, &how, &err);
    if (!job->request)
        job_fail(job, "a source could not be read, will try again", err.msg);
}

static void read_sources(struct job *job)
{
    job->secrets = json_object();
    job->config_maps = json_object();
    if (!job->secrets || !job->config_maps)
        out_of_memory(job);
    else
        read_next(job);
}

/* ---- Observing and planning --------------------------------------------------------------- */

static int see_sources(struct job *job)
{
    sources_of(&job->gate, &job->sources);
    for (size_t i = 0; i < job->sources.n; i++) {
        struct source *source = &job->sources.list[i];
        const struct kube_watch *watch = controller_watch(job->controller, source->resource);
        const struct seen *seen = kube_store_get(kube_watch_store(watch), job->ns, source->name);

        if (seen && source_set_version(source, seen->uid, seen->version) < 0)
            return -ENOMEM;
    }
    job->made_from = sources_digest(&job->gate, &job->sources);
    return 0;
}

static void see_addresses(const struct job *job, struct view *view)
{
    for (size_t i = 0; i < job->gate.n_upstreams; i++) {
        const struct upstream *upstream = &job->gate.upstreams[i];
        const char *fixed = fixed_address(&job->gate, upstream);
        struct resolution resolution;

        view->fixed[i][0] = fixed;
        view->fixed[i][1] = NULL;
        if (fixed) {
            view->resolved[i] = (struct resolved){.ips = view->fixed[i], .error = ""};
            continue;
        }
        resolution = resolver_get(job->controller->resolver, upstream->url.host);
        view->resolved[i] = (struct resolved){.ips = resolution.ips, .error = resolution.error};
    }
}

static bool same_digest(const struct digest *a, const struct digest *b)
{
    return *a->text && strcmp(a->text, b->text) == 0;
}

static void observe(struct job *job, struct view *view)
{
    struct gate_state *state = job->state;

    view->sources =
        (struct render_sources){.secrets = job->secrets, .config_maps = job->config_maps};
    view->observed = (struct observed){
        .object = job->object,
        .status = state_see_status(state, job->object),
        .gate = job->decoded ? &job->gate : NULL,
        .invalid = &job->problems,
        .resolved = view->resolved,
        .census = job->counted ? &job->census : NULL,
        .made_from = job->made_from,
        .creds_problems =
            same_digest(&state->made_from, &job->made_from) ? state->creds_problems : NULL,
        .sources = job->read ? &view->sources : NULL,
    };
    see_addresses(job, view);
    for (enum owned i = 0; i < OWNED_N; i++) {
        view->observed.owned[i] = state_see(state, i);
        view->observed.accepted[i] = state->accepted[i];
    }
}

static void count_pods(struct job *job)
{
    const struct pods *pods = &job->controller->pods;

    job->counted = job->decoded && pods_synced(pods);
    if (job->counted)
        pods_count(pods, &job->gate, &job->census);
}

static void make_plan(struct job *job)
{
    struct view view;

    count_pods(job);
    observe(job, &view);
    if (reconcile(&view.observed, time(NULL), &job->plan) < 0) {
        out_of_memory(job);
    } else if (job->plan.need_sources) {
        read_sources(job);
    } else {
        if (job->plan.creds_problems)
            state_remember_creds(job->state, &job->made_from, job->plan.creds_problems);
        next_step(job);
    }
}

/* ---- Beginning ---------------------------------------------------------------------------- */

/* Milliseconds to wait for look-ups that have never ended; 0 when there is none. */
static uint64_t wait_for_addresses(const struct job *job)
{
    uint64_t now = uv_now(job->controller->loop), wait = 0;

    for (size_t i = 0; i < job->state->n_hosts; i++) {
        struct resolution resolution =
            resolver_get(job->controller->resolver, job->state->hosts[i]);
        uint64_t until = resolution.since + RESOLVE_WAIT_MS;

        if (resolution.pending && until > now && until - now > wait)
            wait = until - now;
    }
    return wait;
}

static struct job *job_new(struct controller *controller, const char *ns, const char *name,
                           const struct kept_gate *kept)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->controller = controller;
    job->link = &controller->jobs;
    job->next = controller->jobs;
    if (job->next)
        job->next->link = &job->next;
    controller->jobs = job;
    job->begun = uv_hrtime();
    job->object = kept_gate_object(kept);
    job->ns = strdup(ns);
    job->name = strdup(name);
    job->state = state_of(controller, ns, name);
    if (job->object && job->ns && job->name && job->state)
        return job;
    job_free(job);
    return NULL;
}

static void forget(struct controller *controller, const char *ns, const char *name)
{
    kube_store_remove(controller->states, ns, name);
    queue_done(controller->queue, ns, name, QUEUE_OK, 0);
    queue_forget(controller->queue, ns, name);
}

void job_start(void *data, const char *ns, const char *name)
{
    struct controller *controller = data;
    const struct kept_gate *kept = kube_store_get(kube_watch_store(controller->gates), ns, name);
    struct job *job;
    uint64_t wait;

    if (!kept) {
        forget(controller, ns, name);
        return;
    }
    job = job_new(controller, ns, name, kept);
    if (!job) {
        queue_done(controller->queue, ns, name, QUEUE_FAILED, 0);
        return;
    }
    measure_begin(&controller->measure);
    job->decoded = gitgate_decode(job->object, false, &job->gate, &job->problems) == 0;
    if (state_hold_hosts(job->state, job->decoded ? &job->gate : NULL) < 0 ||
        see_sources(job) < 0 || state_refer(job->state, &job->sources) < 0) {
        out_of_memory(job);
        return;
    }
    if (job->decoded)
        pods_consider(controller, &job->gate);
    wait = wait_for_addresses(job);
    if (wait)
        job_end(job, QUEUE_OK, wait);
    else
        make_plan(job);
}
