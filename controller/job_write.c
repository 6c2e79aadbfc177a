#include "job_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kube/apply.h"
#include "kube/object.h"

/* One that can't be read is as one that never came: the watch tells what was written. */
void job_read_answer(const struct kube_response *response, struct document *ret)
{
    object_parse(response->body, response->len, ret, NULL);
}

void job_describe_refusal(const struct kube_response *response, char *text)
{
    snprintf(text, MESSAGE_MAX, "refused by the API server: %s (HTTP %d)",
             *response->reason ? response->reason : "no reason given", response->status);
}

/* ---- Steps -------------------------------------------------------------------------------- */

static void on_step(void *data, const struct kube_response *response);

/* Conditions name the first thing that failed. */
static void note_failure(struct job *job, const struct step *step,
                         const struct kube_response *response)
{
    json_t *fields = job_fields(job);
    const struct kube_resource *resource = owned_types[step->which].resource;

    char text[MESSAGE_MAX];
    if (resource == &kube_secrets && response->status)
        job_describe_refusal(response, text);
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
    log_debug(job->controller->log, "the namespace is being deleted", job_fields(job));
    job_end(job, QUEUE_FAILED, 0);
}

/* Another object of that name, or a newer version: look again before anything is said. */
static bool is_conflict(const struct step *step, const struct kube_response *response)
{
    return response->status == 409 || (step->verb == STEP_UPDATE && response->status == 404);
}

/* What the object was created with counts as applied from now on: else its fields would be a second
 * manager's for ever (https://kubernetes.io/docs/reference/using-api/server-side-apply/). */
static void forget_creation(json_t *patch, int at)
{
    char path[48];

    snprintf(path, sizeof path, "/metadata/managedFields/%d", at);
    json_array_append_new(patch, json_pack("{s:s, s:s+, s:s}", "op", "test", "path", path,
                                           "/operation", "value", "Update"));
    json_array_append_new(patch, json_pack("{s:s, s:s+, s:s}", "op", "test", "path", path,
                                           "/manager", "value", KUBE_FIELD_MANAGER));
    json_array_append_new(patch, json_pack("{s:s, s:s}", "op", "remove", "path", path));
}

/* What others put beside our fields is not ours to keep: a key that a program of the gate might
 * read, a label that narrows a policy's selector. Server-side apply leaves it; this replaces the
 * whole content of the very object that was applied. */
static json_t *content_patch(const struct step *step, const struct seen *seen)
{
    const char *part = json_object_get(step->object, "spec") ? "spec" : "data";
    char uid[UID_TEXT_SIZE];
    json_t *patch;

    uid_print(&seen->uid, uid);
    patch = json_pack("[{s:s, s:s, s:s}, {s:s, s:s+, s:O}]", "op", "test", "path", "/metadata/uid",
                      "value", uid, "op", "add", "path", "/", part, "value",
                      json_object_get(step->object, part));
    if (patch && owned_types[step->which].resource == &kube_config_maps)
        json_array_append_new(
            patch, json_pack("{s:s, s:s, s:{}}", "op", "add", "path", "/binaryData", "value"));
    if (patch && seen->creation >= 0)
        forget_creation(patch, seen->creation);
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
        job_read_answer(response, &answer);
    if (state_wrote(job->state, step->which, document_root(&answer)))
        job_look_again(job);
}

/* It was made of what isn't so any more: no credentials, say, behind hooks that turned out to be
 * somebody else's. */
static void give_up_plan(struct job *job)
{
    job->again = true;
    job->step = job->plan.n_steps - 1;
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
        give_up_plan(job);
    else
        note_failure(job, step, response);
    if (!done) /* nor is it right then what the apply before the patch led to */
        state_accept(job->state, step->which, 0);
    if (done && replace_content(job, step))
        return;
    job->step++;
    job->replaced = false;
    job_write(job);
}

static struct kube_request *start_step(struct job *job, const struct step *step, struct error *err)
{
    const struct kube_resource *resource = owned_types[step->which].resource;
    const json_t *metadata = json_object_get(step->object, "metadata");

    struct kube_request_spec create = {
        .accept = KUBE_ACCEPT_METADATA, .done = on_step, .data = job};

    /* A third less of the API server's time than to apply what isn't there (docs/benchmarks.md). */
    if (step->verb == STEP_CREATE)
        return kube_create(job->controller->client, resource, step->object, &create, err);
    if (step->verb == STEP_UPDATE)
        return kube_apply(job->controller->client, resource, step->object, on_step, job, err);
    return kube_delete(job->controller->client, resource, job->ns,
                       json_string_value(json_object_get(metadata, "name")),
                       json_string_value(json_object_get(metadata, "uid")), on_step, job, err);
}

void job_write(struct job *job)
{
    struct error err = ERROR_INIT;

    if (job->controller->stopping) { /* what is left is found again by who comes next */
        job_end(job, QUEUE_FAILED, 0);
        return;
    }
    if (job->step == job->plan.n_steps) {
        job_conclude(job);
        return;
    }
    state_will_write(job->state, job->plan.steps[job->step].which);
    job->request = start_step(job, &job->plan.steps[job->step], &err);
    if (!job->request)
        job_fail(job, "an object was not sent, will try again", err.msg);
}
