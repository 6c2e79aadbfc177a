#include "gates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/weight.h"
#include "base/cleanup.h"
#include "kube/object.h"
#include "kube/watch.h"

struct gates {
    struct kube_watch *watch;
    struct metric *unreadable;
    struct gate **list; /* what gates_of gave last */
    size_t n, size;
};

/* What is kept of each is a pointer. */
static int keep(const struct node *object, struct buf *kept)
{
    json_auto_t *copy = object_to_json(object, &kube_gitgates);
    struct gate *gate = copy ? gate_new(copy) : NULL;

    if (gate)
        gate->weight =
            gitgate_weight(object) + gate->spec.n_upstreams * sizeof *gate->spec.upstreams;
    buf_add(kept, &gate, sizeof gate);
    if (gate && !buf_error(kept))
        return 0;
    gate_free(gate);
    return -ENOMEM;
}

static void release(void *kept)
{
    gate_free(*(struct gate **)kept);
}

static size_t weight_of(const void *kept)
{
    return (*(struct gate *const *)kept)->weight;
}

/* Pods are told why, not what of its spec is missing. */
static void on_change(void *data, enum kube_change change, const char *namespace_, const char *name,
                      void *kept)
{
    const struct gates *gates = data;
    struct gate *gate = *(struct gate **)kept;
    const char *why = kube_watch_unreadable(gates->watch, namespace_, name);
    char *problem = NULL;

    if (change != KUBE_DELETED && why && asprintf(&problem, "it can't be read: %s", why) >= 0) {
        free(gate->problem);
        gate->problem = problem;
    }
}

static void count_unreadable(void *data, const struct kube_resource *resource)
{
    const struct gates *gates = data;

    metric_add(gates->unreadable, 1, LABELS(resource->plural));
}

int gates_new(struct kube_client *client, const struct log *log, struct metrics *metrics,
              struct gates **ret, struct error *err)
{
    cleanup_free struct gates *gates = calloc(1, sizeof *gates);
    struct kube_watch_spec spec = {.resource = &kube_gitgates,
                                   .keep = keep,
                                   .release = release,
                                   .weight = weight_of,
                                   .namespace_max = GITGATE_NAMESPACE_MAX,
                                   .changed = on_change,
                                   .unreadable = count_unreadable,
                                   .data = gates};
    int r;

    if (!gates)
        return error_set(err, -ENOMEM, "out of memory");
    gates->unreadable = metrics_counter(
        metrics, "gitgate_unreadable_objects_total",
        "GitGates that the API server told of and that can't be read: the log names them.",
        LABELS("resource"));
    r = kube_watch_start(client, &spec, log, &gates->watch, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(gates);
    return 0;
}

void gates_free(struct gates *gates)
{
    if (!gates)
        return;
    kube_watch_stop(gates->watch);
    free(gates->list);
    free(gates);
}

bool gates_synced(const struct gates *gates)
{
    return kube_watch_synced(gates->watch);
}

static bool add(void *data, const char *namespace_, const char *name, void *kept)
{
    struct gates *gates = data;

    (void)namespace_;
    (void)name;
    if (gates->n < gates->size)
        gates->list[gates->n++] = *(struct gate **)kept;
    return true;
}

int gates_of(struct gates *gates, const char *namespace_, struct gate_list *ret)
{
    const struct kube_store *store = kube_watch_store(gates->watch);
    size_t size = kube_store_size(store);

    if (size > gates->size) {
        struct gate **list = reallocarray(gates->list, size, sizeof(struct gate *));

        if (!list)
            return -ENOMEM;
        gates->list = list;
        gates->size = size;
    }
    gates->n = 0;
    kube_store_each(store, namespace_, add, gates);
    *ret = (struct gate_list){gates->list, gates->n};
    return 0;
}
