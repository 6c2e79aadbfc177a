#include "job_parts.h"

#include <errno.h>
#include <string.h>

#include "kube/apply.h"
#include "kube/object.h"

#define NOT_READ "a source could not be read, will try again"

/* What a person reads in the status. Of a source's own bytes nothing is in it. */
#define TOO_LARGE "it has more than 4 MiB with its metadata; delete it and make it anew"
#define NO_OBJECT "the API server's answer for it is no object; delete it and make it anew"
_Static_assert(KUBE_RESPONSE_MAX == 4u << 20, "TOO_LARGE says so");

/* So often in a row a refusal passes for one that is over soon: some six seconds. */
#define TRIES_UNTOLD 7

static void read_next(struct job *job);

static json_t *read_into(const struct job *job, const struct source *source)
{
    return source->resource == &kube_secrets ? job->secrets : job->config_maps;
}

/* ---- What came ----------------------------------------------------------------------------- */

/* A source that can't be read is no reason to stop: the others of the gate go on. */
static int take_unreadable(struct job *job, const struct source *source, const char *why)
{
    json_t *fields = job_fields(job);

    json_object_set_new(fields, "kind", json_string(source->resource->kind));
    json_object_set_new(fields, "name", json_string(source->name));
    json_object_set_new(fields, "error", json_string(why));
    log_warn(job->controller->log, "a source can't be read", fields);
    return json_object_set_new(read_into(job, source), source->name, json_string(why));
}

/* Nor is it known by its version then: what is made without it isn't what will be made with it. */
static int take_unread(struct job *job, struct source *source, const char *why)
{
    job->unsure = true;
    source->version = 0;
    return take_unreadable(job, source, why);
}

/* For longer than a moment, so perhaps for good: a right that was taken away, an encryption at rest
 * whose key is gone. */
static bool is_refused(const struct job *job, const struct kube_response *response)
{
    return response->status >= 400 && response->status != 404 &&
           queue_failures(job->controller->queue, job->ns, job->name) >= TRIES_UNTOLD;
}

/* 0 or -ENOMEM. */
static int take_source(struct job *job, struct source *source, const struct kube_response *response)
{
    json_auto_t *object = NULL;
    const json_t *metadata;
    int r;

    source->there = response->status != 404;
    if (!source->there)
        return 0;
    r = object_read(response->body, response->len, &object, NULL);
    if (r == -EBADMSG)
        return take_unread(job, source, NO_OBJECT);
    if (r < 0 || json_object_set(read_into(job, source), source->name, object) < 0)
        return -ENOMEM;
    metadata = json_object_get(object, "metadata");
    source->uid = uid_parse(json_string_value(json_object_get(metadata, "uid")));
    source->version =
        version_parse(json_string_value(json_object_get(metadata, "resourceVersion")));
    return 0;
}

/* 0; -ENOMEM; -EAGAIN: it was not read, and nothing is to be said of that yet. */
static int take_answer(struct job *job, struct source *source, const struct kube_response *response)
{
    char why[MESSAGE_MAX];

    if (response->err.code == 0 || response->err.code == -ENOENT)
        return take_source(job, source, response);
    if (response->err.code == -E2BIG)
        return take_unreadable(job, source, TOO_LARGE);
    if (!is_refused(job, response))
        return -EAGAIN;
    job_describe_refusal(response, why);
    return take_unread(job, source, why);
}

static void on_source(void *data, const struct kube_response *response)
{
    struct job *job = data;
    int r;

    job->request = NULL;
    r = take_answer(job, &job->sources.list[job->source], response);
    if (r == -EAGAIN) {
        job_fail(job, NOT_READ, response->err.msg);
    } else if (r < 0) {
        job_out_of_memory(job);
    } else {
        job->source++;
        read_next(job);
    }
}

/* ---- What was made before ------------------------------------------------------------------ */

static void plan(struct job *job)
{
    job->read = true;
    job->made_from = sources_digest(&job->gate, &job->sources);
    job_plan(job);
}

static bool is_version(const json_t *object, uint64_t version)
{
    const json_t *metadata = json_object_get(object, "metadata");

    return version_parse(json_string_value(json_object_get(metadata, "resourceVersion"))) ==
           version;
}

/* Of the version that was found to be nobody else's, and of no other. Of one that is larger than
 * any nothing stays; one that the API server doesn't give stays as it is. */
static void on_made(void *data, const struct kube_response *response)
{
    struct job *job = data;
    const struct seen *seen = state_see(job->state, OWNED_CREDS);
    json_auto_t *object = NULL;
    int r = response->err.code;

    job->request = NULL;
    if (r == 0)
        r = object_read(response->body, response->len, &object, NULL);
    if (is_refused(job, response)) {
        job->made = json_null();
        plan(job);
    } else if (response->err.code && r != -E2BIG) {
        job_fail(job, NOT_READ, response->err.msg);
    } else if (r == -ENOMEM) {
        job_out_of_memory(job);
    } else if (object && !(seen && is_version(object, seen->version))) {
        job_fail(job, NOT_READ, "what was made before has changed meanwhile");
    } else {
        job->made = json_incref(json_object_get(object, "data"));
        plan(job);
    }
}

static bool has_unreadable(const json_t *sources)
{
    const char *name;
    json_t *source;

    json_object_foreach((json_t *)sources, name, source) {
        if (json_is_string(source))
            return true;
    }
    return false;
}

static bool needs_made(struct job *job)
{
    struct view view;

    if (!has_unreadable(job->secrets) && !has_unreadable(job->config_maps))
        return false;
    job_observe(job, &view);
    return observed_may_keep_creds(&view.observed);
}

static void finish(struct job *job)
{
    struct kube_request_spec how = {.done = on_made, .data = job};
    struct error err = ERROR_INIT;

    if (!needs_made(job)) {
        plan(job);
        return;
    }
    job->request = kube_get(job->controller->client, &kube_secrets, job->ns,
                            gitgate_owned_name(job->name, NAME_CREDS).text, &how, &err);
    if (!job->request)
        job_fail(job, NOT_READ, err.msg);
}

/* ---- One after the other ------------------------------------------------------------------- */

static bool is_same(const struct source *a, const struct source *b)
{
    return a->version && a->version == b->version && uid_equal(&a->uid, &b->uid);
}

/* What the watch knows of it has been read already, by a job that is still in work: many gates
 * share one key, and all of them come at once when it changes. Key material lives no longer for it
 * than the jobs that need it. */
static bool take_from_another(struct job *job, struct source *source)
{
    for (struct job *other = job->controller->jobs; other; other = other->next)
        for (size_t i = 0; i < other->source; i++) {
            const struct source *theirs = &other->sources.list[i];
            json_t *object = json_object_get(read_into(other, theirs), theirs->name);

            if (object && theirs->resource == source->resource && theirs->there &&
                strcmp(theirs->name, source->name) == 0 && is_same(theirs, source) &&
                strcmp(other->ns, job->ns) == 0)
                return json_object_set(read_into(job, source), source->name, object) == 0;
        }
    return false;
}

/* Most gates have few. What the watch doesn't know is not asked for: it tells when it appears. */
static void read_next(struct job *job)
{
    struct source *list = job->sources.list;
    struct kube_request_spec how = {.done = on_source, .data = job};
    struct error err = ERROR_INIT;

    while (job->source < job->sources.n &&
           (!list[job->source].there || take_from_another(job, &list[job->source])))
        job->source++;
    if (job->source == job->sources.n) {
        finish(job);
        return;
    }
    job->request = kube_get(job->controller->client, list[job->source].resource, job->ns,
                            list[job->source].name, &how, &err);
    if (!job->request)
        job_fail(job, NOT_READ, err.msg);
}

void job_read(struct job *job)
{
    job->secrets = json_object();
    job->config_maps = json_object();
    if (!job->secrets || !job->config_maps)
        job_out_of_memory(job);
    else
        read_next(job);
}
