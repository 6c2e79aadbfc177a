#include "pods.h"

#include <errno.h>
#include <string.h>

#include "api/selector.h"
#include "controller.h"
#include "kept.h"
#include "render/render.h"

/* A pod that ended is DELETED to a watch with this selector. */
#define NOT_ENDED "status.phase!=Succeeded,status.phase!=Failed"

#define VERSION_MAX 63
/* A selector has 64 at most; a pod may have a megabyte of them, and each GitGate of its namespace
 * looks through them whenever it changes. */
#define LABELS_MAX 256
#define LABELS_SIZE_MAX 16384
/* Of all pods of a namespace: 25,000 with as many as pods have. */
#define LABELS_NAMESPACE_MAX (8u << 20)

/* What counting one namespace's pods may take of the controller's time: a fiftieth, and a tenth of
 * a second at once. A hundred GitGates with selectors of 4,000 values, in a namespace with hundreds
 * of pods of which somebody changes one after the other, would take all. */
#define COUNT_SHARE 50u
#define COUNT_AHEAD_NS (COUNT_SHARE * UINT64_C(100000000))
#define COUNT_LATER_MS 30000u

/* Behind it three strings: the gate of its label, or ""; the version of the injection's annotation,
 * or ""; the labels, "key\0value\0...\0", only of pods that name no gate, and of none that has more
 * of them than room is for: no selector is found to match it. */
struct pod {
    bool leaving;
    char gate[];
};

/* ---- What is kept ------------------------------------------------------------------------- */

static const char *text_of(const struct node *object, const char *key)
{
    const char *text = node_string(node_get(object, key));

    return text ? text : "";
}

/* The webhook's is short; anybody may write a long one, which is no version then. */
static const char *version_of(const struct node *annotations)
{
    const char *version = text_of(annotations, GITGATE_ANNOTATION_VERSION);

    return strnlen(version, VERSION_MAX + 1) > VERSION_MAX ? "" : version;
}

static void add_string(struct buf *to, const char *text)
{
    buf_add(to, text, strlen(text) + 1);
}

static bool have_room(const struct node *labels)
{
    const struct node *label;
    size_t size = 0;

    node_each(labels, label) size += label->key_len + label->len + 2;
    return node_count(labels) <= LABELS_MAX && size <= LABELS_SIZE_MAX;
}

static int keep(const struct node *object, const struct node *labels, struct buf *kept)
{
    const struct node *metadata = node_get(object, "metadata"), *label;
    struct pod pod = {.leaving = node_get(metadata, "deletionTimestamp")};

    buf_add(kept, &pod, sizeof pod);
    add_string(kept, text_of(node_get(metadata, "labels"), GITGATE_LABEL_GATE));
    add_string(kept, version_of(node_get(metadata, "annotations")));
    node_each(labels, label)
    {
        add_string(kept, label->key);
        add_string(kept, node_is(label, NODE_STRING) ? label->text : "");
    }
    add_string(kept, "");
    return buf_error(kept);
}

static int keep_named(const struct node *object, struct buf *kept)
{
    return keep(object, NULL, kept);
}

static int keep_other(const struct node *object, struct buf *kept)
{
    const struct node *labels = node_get(node_get(object, "metadata"), "labels");

    return keep(object, have_room(labels) ? labels : NULL, kept);
}

static const char *behind(const char *text)
{
    return text + strlen(text) + 1;
}

static const char *version_of_pod(const struct pod *pod)
{
    return behind(pod->gate);
}

static const char *labels_of(const struct pod *pod)
{
    return behind(version_of_pod(pod));
}

static const char *label_of(const void *labels, const char *key)
{
    for (const char *at = labels; *at; at = behind(behind(at)))
        if (strcmp(at, key) == 0)
            return behind(at);
    return NULL;
}

static size_t size_of_labels(const void *kept)
{
    const char *labels = labels_of(kept), *at = labels;

    while (*at)
        at = behind(behind(at));
    return (size_t)(at - labels);
}

/* ---- What a change means ------------------------------------------------------------------ */

static void on_named(void *data, enum kube_change change, const char *ns, const char *name,
                     void *kept)
{
    const struct pod *pod = kept;

    (void)change;
    (void)name;
    controller_recount(data, ns, pod->gate);
}

static void on_replaced(void *data, const char *ns, const char *name, const void *kept)
{
    const struct pod *pod = kept;

    (void)name;
    controller_recount(data, ns, pod->gate);
}

/* ---- What a namespace's counting takes ---------------------------------------------------- */

struct cost {
    uint64_t paid_at; /* uv_hrtime: then a share of the time has made up for what was taken */
};

uint64_t pods_wait(const struct pods *pods, const char *ns)
{
    const struct cost *cost = kube_store_get(pods->costs, "", ns);
    uint64_t until = uv_hrtime() + COUNT_AHEAD_NS, ms;

    if (!cost || cost->paid_at <= until)
        return 0;
    ms = (cost->paid_at - until) / 1000000;
    return ms > COUNT_LATER_MS ? ms : COUNT_LATER_MS;
}

/* Without memory for it, it was free. */
static void charge(const struct pods *pods, const char *ns, uint64_t began)
{
    struct cost *cost = kube_store_make(pods->costs, "", ns, sizeof *cost);
    uint64_t now = uv_hrtime();

    if (cost)
        cost->paid_at = (cost->paid_at > now ? cost->paid_at : now) + COUNT_SHARE * (now - began);
}

/* ---- What a change of a pod means --------------------------------------------------------- */

struct selected {
    struct controller *controller;
    const struct pod *pod; /* NULL: whatever it is */
};

static bool recount_if_selected(void *data, const char *ns, const char *name, void *gate)
{
    const struct selected *selected = data;
    const json_t *selector = ((const struct kept_gate *)gate)->selector;

    if (selector &&
        (!selected->pod || selector_selects(selector, label_of, labels_of(selected->pod))))
        controller_recount(selected->controller, ns, name);
    return true;
}

/* All, later, when it would take too long to see which. */
static void recount_selecting(struct controller *controller, const char *ns, const struct pod *pod)
{
    struct pods *pods = &controller->pods;
    struct selected selected = {controller, pod && !pods_wait(pods, ns) ? pod : NULL};
    uint64_t began = uv_hrtime();

    kube_store_each(kube_watch_store(controller->gates), ns, recount_if_selected, &selected);
    if (selected.pod)
        charge(pods, ns, began);
}

static bool is_enabled(const struct pods *pods, const char *ns)
{
    return pods->namespaces && kube_store_get(kube_watch_store(pods->namespaces), "", ns);
}

static void on_other(void *data, enum kube_change change, const char *ns, const char *name,
                     void *kept)
{
    struct controller *controller = data;

    (void)change;
    (void)name;
    if (is_enabled(&controller->pods, ns))
        recount_selecting(controller, ns, kept);
}

static void on_other_replaced(void *data, const char *ns, const char *name, const void *kept)
{
    on_other(data, KUBE_MODIFIED, ns, name, (void *)kept);
}

static void on_namespace(void *data, enum kube_change change, const char *ns, const char *name,
                         void *kept)
{
    (void)ns;
    (void)kept;
    if (change != KUBE_MODIFIED)
        recount_selecting(data, name, NULL);
}

/* What was counted before is kept until the others are known; now it may be wrong. */
static void on_others_synced(void *data)
{
    recount_selecting(data, NULL, NULL);
}

/* ---- Watches ------------------------------------------------------------------------------ */

static int watch_pods(struct controller *controller, const struct kube_watch_spec *how,
                      struct kube_watch **ret, struct error *err)
{
    struct kube_watch_spec spec = *how;

    spec.resource = &kube_pods;
    spec.namespace_ = controller->pods.namespace_;
    spec.field_selector = NOT_ENDED;
    spec.metadata_only = true;
    spec.unreadable = controller_unreadable;
    spec.data = controller;
    return kube_watch_start(controller->client, &spec, controller->log, ret, err);
}

static int watch_named(struct controller *controller, struct error *err)
{
    struct kube_watch_spec spec = {.label_selector = GITGATE_LABEL_GATE,
                                   .keep = keep_named,
                                   .changed = on_named,
                                   .replaced = on_replaced,
                                   .synced = controller_synced};

    return watch_pods(controller, &spec, &controller->pods.named, err);
}

static int watch_others(struct controller *controller, struct error *err)
{
    struct kube_watch_spec spec = {.label_selector = "!" GITGATE_LABEL_GATE,
                                   .keep = keep_other,
                                   .weight = size_of_labels,
                                   .namespace_max = LABELS_NAMESPACE_MAX,
                                   .changed = on_other,
                                   .replaced = on_other_replaced,
                                   .synced = on_others_synced};

    return watch_pods(controller, &spec, &controller->pods.others, err);
}

static int watch_namespaces(struct controller *controller, struct error *err)
{
    struct kube_watch_spec spec = {.resource = &kube_namespaces,
                                   .label_selector = GITGATE_LABEL_INJECTION "=enabled",
                                   .metadata_only = true,
                                   .changed = on_namespace,
                                   .synced = controller_synced,
                                   .unreadable = controller_unreadable,
                                   .data = controller};

    return kube_watch_start(controller->client, &spec, controller->log,
                            &controller->pods.namespaces, err);
}

int pods_watch(struct controller *controller, const char *namespace_, struct error *err)
{
    int r;

    controller->pods.namespace_ = namespace_;
    controller->pods.costs = kube_store_new(NULL);
    if (!controller->pods.costs)
        return error_set(err, -ENOMEM, "memory is short");
    r = watch_named(controller, err);
    return r < 0 || namespace_ ? r : watch_namespaces(controller, err);
}

void pods_stop(struct pods *pods)
{
    kube_watch_stop(pods->named);
    kube_watch_stop(pods->others);
    kube_watch_stop(pods->namespaces);
    kube_store_free(pods->costs);
    *pods = (struct pods){0};
}

static bool is_synced(const struct kube_watch *watch)
{
    return !watch || kube_watch_synced(watch);
}

bool pods_synced(const struct pods *pods)
{
    return pods->named && is_synced(pods->named) && is_synced(pods->others) &&
           is_synced(pods->namespaces);
}

void pods_consider(struct controller *controller, const struct gitgate *gate)
{
    struct error err = ERROR_INIT;

    if (controller->pods.others || !gate->pod_selector ||
        !is_enabled(&controller->pods, gate->namespace_))
        return;
    if (watch_others(controller, &err) < 0) /* the next reconcile tries again */
        log_warn(controller->log, "pods can't be watched", json_pack("{s:s}", "error", err.msg));
}

/* ---- Counting ----------------------------------------------------------------------------- */

struct counting {
    const struct gitgate *gate;
    struct render_version version; /* "" until it is needed */
    struct census *census;
};

static bool count_named(void *data, const char *ns, const char *name, void *kept)
{
    struct counting *counting = data;
    const struct pod *pod = kept;

    (void)ns;
    if (pod->leaving || strcmp(pod->gate, counting->gate->name) != 0)
        return true;
    if (!*version_of_pod(pod)) {
        census_add(&counting->census->missing, name);
        return true;
    }
    if (!*counting->version.text)
        counting->version = render_version(counting->gate);
    counting->census->gated++;
    if (strcmp(version_of_pod(pod), counting->version.text) != 0)
        census_add(&counting->census->outdated, name);
    return true;
}

static bool count_other(void *data, const char *ns, const char *name, void *kept)
{
    const struct counting *counting = data;
    const struct pod *pod = kept;

    (void)ns;
    if (!pod->leaving && selector_selects(counting->gate->pod_selector, label_of, labels_of(pod)))
        census_add(&counting->census->missing, name);
    return true;
}

void pods_count(const struct pods *pods, const struct gitgate *gate, struct census *ret)
{
    struct counting counting = {.gate = gate, .census = ret};
    uint64_t began = uv_hrtime();

    /* Without the watch of namespaces nobody knows. */
    *ret = (struct census){.selector_idle = gate->pod_selector && pods->namespaces &&
                                            !is_enabled(pods, gate->namespace_)};
    kube_store_each(kube_watch_store(pods->named), gate->namespace_, count_named, &counting);
    if (pods->others && gate->pod_selector && is_enabled(pods, gate->namespace_))
        kube_store_each(kube_watch_store(pods->others), gate->namespace_, count_other, &counting);
    charge(pods, gate->namespace_, began);
}
