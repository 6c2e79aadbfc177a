#include "job_parts.h"

#include <string.h>

#include "data/json_write.h"
#include "kube/apply.h"
#include "news.h"

#define BODY_MAX (4u << 20) /* etcd takes 1.5 MiB */
#define BODY_AT_FIRST 2047  /* most */
#define NOT_WRITTEN "status not written, will try again"

/* ---- Writing ------------------------------------------------------------------------------ */

static void note_status(struct job *job, const struct kube_response *response)
{
    cleanup_document struct document answer = DOCUMENT_INIT;
    const struct node *metadata;

    events_tell(job->controller, job->state, job->object, job->news);
    job_read_answer(response, &answer);
    metadata = node_get(document_root(&answer), "metadata");
    job->writes++;
    if (state_wrote_status(job->state, job->version,
                           node_string(node_get(metadata, "resourceVersion")),
                           TAKE_PTR(job->status)))
        job_look_again(job);
}

static void on_status(void *data, const struct kube_response *response)
{
    struct job *job = data;

    job->request = NULL;
    if (response->err.code == -ENOENT) { /* deleted meanwhile, and perhaps there is another */
        job_look_again(job);
        job_finish(job);
    } else if (response->err.code) {
        job_fail(job, NOT_WRITTEN, response->err.msg);
    } else {
        note_status(job, response);
        job_finish(job);
    }
}

static void write_status(struct job *job)
{
    struct error err = ERROR_INIT;

    state_will_write_status(job->state);
    job->request = kube_apply_status(job->controller->client, &kube_gitgates, job->ns, job->name,
                                     job->status, on_status, job, &err);
    if (!job->request)
        job_fail(job, NOT_WRITTEN, err.msg);
}

/* ---- Putting off -------------------------------------------------------------------------- */

/* Pods wait for a gate's objects, and people for its status, which costs the API server as much as
 * all five objects: those of all gates that wait come first (docs/benchmarks.md). What is to be
 * told of besides is told at once. */
static bool put_off(struct job *job)
{
    bool may = job->writes && !job->failed && !job->unsure && !json_array_size(job->news);

    if (!may || !queue_yield(job->controller->queue, job->ns, job->name))
        return false;
    job->state->put_off = strdup(job->status); /* in no more room than it needs: many wait */
    return true;
}

bool job_resume(struct job *job)
{
    cleanup_free char *status = TAKE_PTR(job->state->put_off);

    if (!status || !queue_resumes(job->controller->queue, job->ns, job->name))
        return false;
    job->status = TAKE_PTR(status);
    write_status(job);
    return true;
}

/* ---- The end of a job --------------------------------------------------------------------- */

/* NULL: it is as it should be, or can't be known now. */
static json_t *status_of(struct job *job)
{
    struct view view;

    if (job->failed) {
        job_observe(job, &view);
        return reconcile_failed(&view.observed, &job->plan, job->failed, job->message, time(NULL));
    }
    return job->again ? NULL : TAKE_PTR(job->plan.status);
}

static char *text_of(const struct job *job, json_t *status)
{
    cleanup_buf struct buf text = BUF_INIT(BODY_MAX);
    const char *uid =
        json_string_value(json_object_get(json_object_get(job->object, "metadata"), "uid"));
    json_auto_t *object =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:O}", "apiVersion", GITGATE_API_VERSION, "kind",
                  GITGATE_KIND, "metadata", "namespace", job->ns, "name", job->name, "uid",
                  uid ? uid : "", "status", status);

    buf_reserve(&text, BODY_AT_FIRST);
    json_write(&text, object);
    return buf_take(&text);
}

void job_conclude(struct job *job)
{
    json_auto_t *status = status_of(job);

    if (!status) {
        job_finish(job);
        return;
    }
    job->news = news_of(job->seen_status, status, job->counted ? &job->census : NULL);
    job->status = text_of(job, status);
    if (!job->status)
        job_out_of_memory(job);
    else if (put_off(job))
        job_finish(job);
    else
        write_status(job);
}
