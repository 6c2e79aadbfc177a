#include "job_parts.h"

#include <errno.h>
#include <string.h>

/* ---- Observing and planning --------------------------------------------------------------- */

void job_see_sources(struct job *job)
{
    sources_of(&job->gate, &job->sources);
    for (size_t i = 0; i < job->sources.n; i++) {
        struct source *source = &job->sources.list[i];
        const struct kube_watch *watch = controller_watch(job->controller, source->resource);
        const struct seen *seen = kube_store_get(kube_watch_store(watch), job->ns, source->name);

        source->there = seen;
        if (!seen)
            continue;
        source->uid = seen->uid;
        source->version = seen->version;
    }
    job->made_from = sources_digest(&job->gate, &job->sources);
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

/* Whether they are known of what there is now. */
static bool see_problems(struct job *job)
{
    json_decref(job->creds_problems);
    return state_knows_creds(job->state, &job->made_from, &job->creds_problems);
}

void job_observe(struct job *job, struct view *view)
{
    struct gate_state *state = job->state;
    bool known = see_problems(job);

    json_decref(job->seen_status);
    job->seen_status = state_see_status(state, job->version, job->object);
    view->sources = (struct render_sources){
        .secrets = job->secrets, .config_maps = job->config_maps, .made = job->made};
    view->observed = (struct observed){
        .object = job->object,
        .status = job->seen_status,
        .gate = job->decoded ? &job->gate : NULL,
        .invalid = &job->problems,
        .resolved = view->resolved,
        .census = job->counted ? &job->census : NULL,
        .made_from = job->made_from,
        .creds_known = known,
        .creds_problems = job->creds_problems,
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

    if (job->counted || !job->decoded || !pods_synced(pods))
        return;
    job->recount_ms = pods_wait(pods, job->ns);
    job->counted = !job->recount_ms;
    if (job->counted)
        pods_count(pods, &job->gate, &job->census);
}

static void remember_right(struct job *job)
{
    for (enum owned i = 0; i < OWNED_N; i++)
        if (job->plan.right[i])
            state_accept(job->state, i, state_see(job->state, i)->version);
}

void job_plan(struct job *job)
{
    struct view view;

    count_pods(job);
    job_observe(job, &view);
    if (reconcile(&view.observed, time(NULL), &job->plan) < 0) {
        job_out_of_memory(job);
    } else if (job->plan.need_sources) {
        job_read(job);
    } else {
        if (job->plan.creds_problems && !job->unsure)
            state_remember_creds(job->state, &job->made_from, job->plan.creds_problems);
        remember_right(job);
        job_write(job);
    }
}
