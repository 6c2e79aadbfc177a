#include "controller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "api/weight.h"
#include "base/memory.h"
#include "job.h"
#include "kept.h"
#include "state.h"

/* Gates in work at once: each has one request on its way. More only moves the queue into the API
 * server, whose priority and fairness gives a client of this kind about as many seats. */
#define WORKERS 8

/* A rollout changes pods all the time; its numbers are for people. */
#define RECOUNT_MS 1000u

/* Addresses are asked for every half a minute and old ones stay allowed for a quarter of an hour;
 * but a name server that says something else each time has policy and status written as often, and
 * whoever writes a GitGate chooses its hosts. */
#define ADDRESSES_MS 10000u

/* With no work for so long, what it needed is given back. */
#define LULL_MS 3000u

#define LEASE_NAME "gitgate-controller"

/* ---- From changes to keys ----------------------------------------------------------------- */

static void add_gate(struct controller *controller, const char *ns, const char *name)
{
    if (controller->synced && kube_lease_held(controller->lease))
        queue_add(controller->queue, ns, name);
}

static void add_gate_later(struct controller *controller, const char *ns, const char *name,
                           uint64_t ms)
{
    if (controller->synced && kube_lease_held(controller->lease))
        queue_add_later(controller->queue, ns, name, ms);
}

static void on_gate(void *data, enum kube_change change, const char *ns, const char *name,
                    void *kept)
{
    struct controller *controller = data;
    const struct kept_gate *gate = kept;
    struct gate_state *state = kube_store_get(controller->states, ns, name);
    bool awaited = state && state_told_gate(state, gate->version);

    if (change == KUBE_DELETED ||
        !(awaited || (state && state_is_own_status(state, gate->version))))
        add_gate(controller, ns, name);
}

/* The gate whose object of that type has this name, if one is there. */
static void add_owner(struct controller *controller, const struct kube_resource *resource,
                      const char *ns, const char *object, const struct seen *seen)
{
    size_t len = strlen(object);

    for (enum owned i = 0; i < OWNED_N; i++) {
        struct name suffix = gitgate_owned_name("", owned_types[i].name);
        size_t suffix_len = strlen(suffix.text);
        char gate[NAME_MAX_LEN + 1] = "";
        struct gate_state *state;
        bool awaited;

        if (owned_types[i].resource != resource || len <= suffix_len || len > NAME_MAX_LEN ||
            strcmp(object + len - suffix_len, suffix.text) != 0)
            continue;
        memcpy(gate, object, len - suffix_len);
        state = kube_store_get(controller->states, ns, gate);
        awaited = state && state_told(state, i, seen);
        if (kube_store_get(kube_watch_store(controller->gates), ns, gate) &&
            !(awaited || (state && seen && state_is_own_write(state, i, seen))))
            add_gate(controller, ns, gate);
    }
}

static void on_object(struct controller *controller, const struct kube_resource *resource,
                      enum kube_change change, const char *ns, const char *name, void *kept)
{
    if (!controller->synced)
        return;
    add_owner(controller, resource, ns, name, change == KUBE_DELETED ? NULL : kept);
    references_each(controller, resource, ns, name, add_gate);
}

static void on_secret(void *data, enum kube_change change, const char *ns, const char *name,
                      void *kept)
{
    on_object(data, &kube_secrets, change, ns, name, kept);
}

static void on_config_map(void *data, enum kube_change change, const char *ns, const char *name,
                          void *kept)
{
    on_object(data, &kube_config_maps, change, ns, name, kept);
}

static void on_policy(void *data, enum kube_change change, const char *ns, const char *name,
                      void *kept)
{
    on_object(data, &kube_network_policies, change, ns, name, kept);
}

struct host {
    struct controller *controller;
    const char *name;
    bool awaited;
};

static bool add_if_holds(void *data, const char *ns, const char *name, void *state)
{
    const struct host *host = data;

    if (!state_holds(state, host->name))
        return true;
    if (host->awaited)
        add_gate(host->controller, ns, name);
    else
        add_gate_later(host->controller, ns, name, ADDRESSES_MS);
    return true;
}

static void on_addresses(void *data, const char *ns, const char *host, bool awaited)
{
    struct host of = {data, host, awaited};

    kube_store_each(of.controller->states, ns, add_if_holds, &of);
}

/* ---- Beginning and end -------------------------------------------------------------------- */

static bool add_each(void *data, const char *ns, const char *name, void *gate)
{
    (void)gate;
    add_gate(data, ns, name);
    return true;
}

void controller_recount(struct controller *controller, const char *ns, const char *gate)
{
    uint64_t wait = pods_wait(&controller->pods, ns);

    if (kube_store_get(kube_watch_store(controller->gates), ns, gate))
        add_gate_later(controller, ns, gate, wait ? wait : RECOUNT_MS);
}

static bool all_synced(const struct controller *controller)
{
    const struct kube_watch *watches[] = {controller->gates, controller->secrets,
                                          controller->config_maps, controller->policies};

    for (size_t i = 0; i < sizeof watches / sizeof *watches; i++)
        if (!watches[i] || !kube_watch_synced(watches[i]))
            return false;
    return pods_synced(&controller->pods);
}

static void on_lull(uv_timer_t *timer)
{
    (void)timer;
    memory_give_back();
}

static void await_lull(struct controller *controller)
{
    if (!controller->jobs && controller->lull)
        uv_timer_start(controller->lull, on_lull, LULL_MS, 0);
}

/* Before all is seen, what is missing can't be told from what was not listed yet. */
void controller_synced(void *data)
{
    struct controller *controller = data;
    const struct kube_store *gates;

    if (controller->synced || !all_synced(controller))
        return;
    gates = kube_watch_store(controller->gates);
    controller->synced = true;
    log_info(controller->log, "all is listed",
             json_pack("{s:I}", "gitgates", (json_int_t)kube_store_size(gates)));
    memory_give_back(); /* what starting and listing took, before work takes more */
    kube_store_each(gates, NULL, add_each, controller);
    await_lull(controller);
}

void controller_unreadable(void *data, const struct kube_resource *resource)
{
    struct controller *controller = data;

    measure_unreadable(&controller->measure, resource);
}

/* ---- Who works ---------------------------------------------------------------------------- */

static uint64_t time_to_write(void *data)
{
    const struct controller *controller = data;

    return kube_lease_time_to_write(controller->lease);
}

static bool accept_nothing(void *data, const char *ns, const char *name, void *state)
{
    (void)data, (void)ns, (void)name;
    state_accept_nothing(state);
    return true;
}

/* Who had the lease meanwhile has written, and that was right. */
static void on_acquired(void *data)
{
    struct controller *controller = data;

    kube_store_each(controller->states, NULL, accept_nothing, NULL);
    if (controller->synced)
        kube_store_each(kube_watch_store(controller->gates), NULL, add_each, controller);
    queue_pause(controller->queue, false);
    measure_leads(&controller->measure, LEASE_NAME, true);
}

static void on_lost(void *data)
{
    struct controller *controller = data;

    queue_pause(controller->queue, true);
    jobs_cancel(controller);
    measure_leads(&controller->measure, LEASE_NAME, false);
}

static void on_released(void *data)
{
    struct controller *controller = data;

    measure_leads(&controller->measure, LEASE_NAME, false);
    controller->finished(controller->data);
}

/* Two that were started at once, or one that came back under its name, are not the same. */
static void set_identity(struct controller *controller)
{
    char host[64] = "";
    uint64_t chance = 0;

    gethostname(host, sizeof host - 1);
    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        chance = (uint64_t)getpid();
    snprintf(controller->identity, sizeof controller->identity, "%s_%016llx", host,
             (unsigned long long)chance);
}

static int ask_for_lease(struct controller *controller, const char *namespace_, struct error *err)
{
    struct kube_lease_spec spec = {.namespace_ = namespace_,
                                   .name = LEASE_NAME,
                                   .identity = controller->identity,
                                   .acquired = on_acquired,
                                   .lost = on_lost,
                                   .released = on_released,
                                   .data = controller};

    set_identity(controller);
    kube_client_guard(controller->client, time_to_write, controller);
    return kube_lease_start(controller->client, &spec, controller->log, &controller->lease, err);
}

static void free_lull(uv_handle_t *timer)
{
    free(timer);
}

/* Starting needs most. */
static void make_lull(struct controller *controller)
{
    controller->lull = malloc(sizeof *controller->lull);
    if (controller->lull)
        uv_timer_init(controller->loop, controller->lull);
    await_lull(controller);
}

void controller_job_ended(struct controller *controller)
{
    await_lull(controller);
    if (controller->stopping && !controller->jobs)
        kube_lease_release(controller->lease);
}

void controller_finish(struct controller *controller, void (*finished)(void *data), void *data)
{
    controller->stopping = true;
    controller->finished = finished;
    controller->data = data;
    queue_pause(controller->queue, true);
    controller_job_ended(controller);
}

static int keep_seen(const struct node *object, struct buf *kept)
{
    struct seen seen = seen_of(object);

    if (!seen.version)
        return -EBADMSG;
    buf_add(kept, &seen, sizeof seen);
    return buf_error(kept);
}

/* Metadata only: no Secret's content is ever listed. */
static int watch_objects(struct controller *controller, const struct kube_resource *resource,
                         const char *namespace_,
                         void (*changed)(void *, enum kube_change, const char *, const char *,
                                         void *),
                         struct kube_watch **ret, struct error *err)
{
    struct kube_watch_spec spec = {.resource = resource,
                                   .namespace_ = namespace_,
                                   .metadata_only = true,
                                   .keep = keep_seen,
                                   .changed = changed,
                                   .synced = controller_synced,
                                   .unreadable = controller_unreadable,
                                   .data = controller};

    return kube_watch_start(controller->client, &spec, controller->log, ret, err);
}

static int watch_gates(struct controller *controller, const char *namespace_, struct error *err)
{
    struct kube_watch_spec spec = {.resource = &kube_gitgates,
                                   .namespace_ = namespace_,
                                   .keep = kept_gate_add,
                                   .release = kept_gate_done,
                                   .weight = kept_gate_weight,
                                   .namespace_max = GITGATE_NAMESPACE_MAX,
                                   .changed = on_gate,
                                   .synced = controller_synced,
                                   .unreadable = controller_unreadable,
                                   .data = controller};

    return kube_watch_start(controller->client, &spec, controller->log, &controller->gates, err);
}

static int watch_all(struct controller *controller, const char *namespace_, struct error *err)
{
    int r = watch_gates(controller, namespace_, err);

    if (r == 0)
        r = watch_objects(controller, &kube_secrets, namespace_, on_secret, &controller->secrets,
                          err);
    if (r == 0)
        r = watch_objects(controller, &kube_config_maps, namespace_, on_config_map,
                          &controller->config_maps, err);
    if (r == 0)
        r = watch_objects(controller, &kube_network_policies, namespace_, on_policy,
                          &controller->policies, err);
    if (r == 0)
        r = pods_watch(controller, namespace_, err);
    return r;
}

static void collect(void *data)
{
    const struct controller *controller = data;

    if (controller->queue)
        queue_collect(controller->queue);
}

static void count(struct controller *controller, struct metrics *metrics, const char *server)
{
    measure_init(&controller->measure, metrics, server, WORKERS);
    measure_leads(&controller->measure, LEASE_NAME, false);
    queue_measure(controller->queue, metrics, MEASURE_NAME);
    kube_client_observe(controller->client, measure_answer, &controller->measure);
    metrics_on_print(metrics, collect, controller);
}

int controller_start(uv_loop_t *loop, const struct kube_config *config, const char *namespace_,
                     const struct log *log, struct metrics *metrics, struct controller *ret,
                     struct error *err)
{
    int r;

    *ret = (struct controller){.loop = loop, .log = log};
    make_lull(ret);
    ret->queue = queue_new(loop, WORKERS, job_start, ret);
    ret->resolver = resolver_new(loop, on_addresses, ret);
    ret->states = kube_store_new(state_done);
    ret->references = references_new();
    if (!ret->queue || !ret->resolver || !ret->states || !ret->references)
        r = error_set(err, -ENOMEM, "memory is short");
    else
        r = kube_client_new(loop, config, &ret->client, err);
    if (r == 0) {
        count(ret, metrics, config->server);
        r = watch_all(ret, namespace_, err);
    }
    if (r == 0)
        r = ask_for_lease(ret, namespace_ ? namespace_ : kube_client_namespace(ret->client), err);
    if (r < 0)
        controller_stop(ret);
    return r;
}

void controller_stop(struct controller *controller)
{
    kube_watch_stop(controller->gates);
    kube_watch_stop(controller->secrets);
    kube_watch_stop(controller->config_maps);
    kube_watch_stop(controller->policies);
    pods_stop(&controller->pods);
    kube_lease_stop(controller->lease);
    jobs_cancel(controller);
    kube_client_free(controller->client);
    kube_store_free(controller->states);
    kube_store_free(controller->references);
    resolver_free(controller->resolver);
    queue_free(controller->queue);
    if (controller->lull)
        uv_close((uv_handle_t *)controller->lull, free_lull);
    *controller = (struct controller){0};
}

struct kube_watch *controller_watch(const struct controller *controller,
                                    const struct kube_resource *resource)
{
    if (resource == &kube_secrets)
        return controller->secrets;
    if (resource == &kube_config_maps)
        return controller->config_maps;
    return controller->policies;
}
