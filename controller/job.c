#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "job_parts.h"
#include "kept.h"

/* How long the first look-up of a host may hold up the objects that need no address. Most answer at
 * once; then each policy is written once and not twice. */
#define RESOLVE_WAIT_MS 1000u

/* ---- Life --------------------------------------------------------------------------------- */

static void job_free(struct job *job)
{
    if (job->state)
        job->state->writes = NULL;
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    plan_done(&job->plan);
    free(job->status);
    json_decref(job->news);
    json_decref(job->seen_status);
    json_decref(job->secrets);
    json_decref(job->config_maps);
    json_decref(job->made);
    json_decref(job->creds_problems);
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

json_t *job_fields(const struct job *job)
{
    return json_pack("{s:s, s:s}", "namespace", job->ns, "gitgate", job->name);
}

static enum outcome outcome_of(enum queue_result result, uint64_t again_ms)
{
    if (result == QUEUE_FAILED)
        return OUTCOME_ERROR;
    return again_ms ? OUTCOME_REQUEUE_AFTER : OUTCOME_SUCCESS;
}

void job_end(struct job *job, enum queue_result result, uint64_t again_ms)
{
    struct controller *controller = job->controller;

    if (job->writes) {
        json_t *fields = job_fields(job);

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

void job_fail(struct job *job, const char *what, const char *why)
{
    json_t *fields = job_fields(job);

    json_object_set_new(fields, "error", json_string(why));
    log_warn(job->controller->log, what, fields);
    job_end(job, QUEUE_FAILED, 0);
}

void job_out_of_memory(struct job *job)
{
    job_fail(job, "reconcile failed, will try again", "memory is short");
}

void job_finish(struct job *job)
{
    job_end(job, job->again || job->unsure ? QUEUE_FAILED : QUEUE_OK, job->recount_ms);
}

void job_look_again(struct job *job)
{
    queue_add(job->controller->queue, job->ns, job->name);
}

/* ---- Beginning ---------------------------------------------------------------------------- */

/* Milliseconds to wait for look-ups that have never ended; 0 when there is none. */
static uint64_t wait_for_addresses(const struct job *job)
{
    uint64_t now = uv_now(job->controller->loop), wait = 0;
    const char *host;

    strings_each(job->state->hosts, host)
    {
        struct resolution resolution = resolver_get(job->controller->resolver, host);
        uint64_t until = resolution.since + RESOLVE_WAIT_MS;

        if (resolution.pending && until > now && until - now > wait)
            wait = until - now;
    }
    return wait;
}

static struct job *job_new(struct controller *controller, const char *ns, const char *name)
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
    job->ns = strdup(ns);
    job->name = strdup(name);
    job->state = state_of(controller, ns, name);
    if (job->state)
        job->state->writes = &job->under_way;
    if (job->ns && job->name && job->state)
        return job;
    job_free(job);
    return NULL;
}

static void decode(struct job *job)
{
    const char *why = kube_watch_unreadable(job->controller->gates, job->ns, job->name);

    if (why)
        problems_add(&job->problems, "the GitGate", "can't be read: %s", why);
    else
        job->decoded = gitgate_decode(job->object, false, &job->gate, &job->problems) == 0;
}

static void forget(struct controller *controller, const char *ns, const char *name)
{
    kube_store_remove(controller->states, ns, name);
    queue_done(controller->queue, ns, name, QUEUE_OK, 0);
}

static void begin(struct job *job)
{
    uint64_t wait;

    decode(job);
    job_see_sources(job);
    if (state_hold_hosts(job->state, job->decoded ? &job->gate : NULL) < 0 ||
        state_refer(job->state, &job->sources) < 0) {
        job_out_of_memory(job);
        return;
    }
    if (job->decoded)
        pods_consider(job->controller, &job->gate);
    wait = wait_for_addresses(job);
    if (wait)
        job_end(job, QUEUE_OK, wait);
    else
        job_plan(job);
}

void job_start(void *data, const char *ns, const char *name)
{
    struct controller *controller = data;
    const struct kept_gate *kept = kube_store_get(kube_watch_store(controller->gates), ns, name);
    struct job *job;

    if (!kept) {
        forget(controller, ns, name);
        return;
    }
    job = job_new(controller, ns, name);
    if (!job) {
        queue_done(controller->queue, ns, name, QUEUE_FAILED, 0);
        return;
    }
    measure_begin(&controller->measure);
    job->version = kept->version;
    if (job_resume(job))
        return;
    job->object = kept_gate_object(kept);
    if (job->object)
        begin(job);
    else
        job_out_of_memory(job);
}
