#include "job_parts.h"

#include <errno.h>
#include <string.h>

#include "kube/apply.h"
#include "kube/object.h"

#define NOT_READ "a source could not be read, will try again"

static void read_next(struct job *job);

static json_t *read_into(const struct job *job, const struct source *source)
{
    return source->resource == &kube_secrets ? job->secrets : job->config_maps;
}

/* 0, -ENOMEM, or -EBADMSG for what is no object. */
static int take_source(struct job *job, struct source *source, const struct kube_response *response)
{
    json_auto_t *object = NULL;
    const json_t *metadata;

    source->there = response->status != 404;
    if (!source->there)
        return 0;
    object_mend(response->body, response->len);
    object = json_loadb(response->body, response->len, JSON_REJECT_DUPLICATES, NULL);
    metadata = json_object_get(object, "metadata");
    if (!json_is_object(metadata))
        return -EBADMSG;
    if (json_object_set(read_into(job, source), source->name, object) < 0)
        return -ENOMEM;
    source->uid = uid_parse(json_string_value(json_object_get(metadata, "uid")));
    source->version =
        version_parse(json_string_value(json_object_get(metadata, "resourceVersion")));
    return 0;
}

static void on_source(void *data, const struct kube_response *response)
{
    struct job *job = data;
    int r;

    job->request = NULL;
    if (response->err.code && response->err.code != -ENOENT) {
        job_fail(job, NOT_READ, response->err.msg);
        return;
    }
    r = take_source(job, &job->sources.list[job->source], response);
    if (r == -ENOMEM) {
        job_out_of_memory(job);
    } else if (r < 0) {
        job_fail(job, NOT_READ, "the API server's answer is not an object");
    } else {
        job->source++;
        read_next(job);
    }
}

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

/* One after the other: most gates have few. What the watch doesn't know is not asked for: it tells
 * when it appears. */
static void read_next(struct job *job)
{
    struct source *list = job->sources.list;
    struct kube_request_spec how = {.done = on_source, .data = job};
    struct error err = ERROR_INIT;

    while (job->source < job->sources.n &&
           (!list[job->source].there || take_from_another(job, &list[job->source])))
        job->source++;
    if (job->source == job->sources.n) {
        job->read = true;
        job->made_from = sources_digest(&job->gate, &job->sources);
        job_plan(job);
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
