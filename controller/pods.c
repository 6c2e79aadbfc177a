#include "pods.h"

#include <stdlib.h>
#include <string.h>

#include "api/selector.h"
#include "controller.h"
#include "kept.h"
#include "render/render.h"

/* A pod that ended is DELETED to a watch with this selector. */
#define NOT_ENDED "status.phase!=Succeeded,status.phase!=Failed"

#define VERSION_MAX 63

struct pod {
    const char *gate;    /* its label, or "" */
    const char *version; /* the injection's annotation, or "" */
    const char *labels;  /* "key\0value\0...\0"; only of pods that name no gate */
    bool leaving;
};

/* ---- What is kept ------------------------------------------------------------------------- */

static const char *text_of(const struct node *object, const char *key)
{
    const char *text = node_string(node_get(object, key));

    return text ? text : "";
}

static char *put(char *at, const char *text)
{
    size_t size = strlen(text) + 1;

    memcpy(at, text, size);
    return at + size;
}

static size_t size_of_labels(const struct node *labels)
{
    const struct node *label;
    size_t size = 1;

    node_each(labels, label)
    {
        size += strlen(label->key) + strlen(text_of(labels, label->key)) + 2;
    }
    return size;
}

/* The webhook's is short; anybody may write a long one, which is no version then. */
static const char *version_of(const struct node *annotations)
{
    const char *version = text_of(annotations, GITGATE_ANNOTATION_VERSION);

    return strnlen(version, VERSION_MAX + 1) > VERSION_MAX ? "" : version;
}

/* One allocation; strings lie behind the structure. */
static void *keep(const struct node *object, const struct node *labels)
{
    const struct node *metadata = node_get(object, "metadata"), *label;
    const char *gate = text_of(node_get(metadata, "labels"), GITGATE_LABEL_GATE);
    const char *version = version_of(node_get(metadata, "annotations"));
    struct pod *pod =
        malloc(sizeof *pod + strlen(gate) + strlen(version) + 2 + size_of_labels(labels));
    char *at = (char *)(pod + 1);

    if (!pod)
        return NULL;
    pod->leaving = node_get(metadata, "deletionTimestamp");
    pod->gate = at;
    at = put(at, gate);
    pod->version = at;
    at = put(at, version);
    pod->labels = at;
    node_each(labels, label)
    {
        at = put(put(at, label->key), text_of(labels, label->key));
    }
    *at = '\0';
    return pod;
}

static void *keep_named(const struct node *object)
{
    return keep(object, NULL);
}

static void *keep_other(const struct node *object)
{
    return keep(object, node_get(node_get(object, "metadata"), "labels"));
}

static void *keep_nothing(const struct node *object)
{
    (void)object;
    return malloc(1); /* that it is there is all */
}

static const char *label_of(const void *labels, const char *key)
{
    for (const char *at = labels; *at;) {
        const char *value = at + strlen(at) + 1;

        if (strcmp(at, key) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
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

struct selected {
    struct controller *controller;
    const struct pod *pod; /* NULL: whatever it is */
};

static bool recount_if_selected(void *data, const char *ns, const char *name, void *gate)
{
    const struct selected *selected = data;
    const json_t *selector = ((const struct kept_gate *)gate)->selector;

    if (selector && (!selected->pod || selector_selects(selector, label_of, selected->pod->labels)))
        controller_recount(selected->controller, ns, name);
    return true;
}

static void recount_selecting(struct controller *controller, const char *ns, const struct pod *pod)
{
    struct selected selected = {controller, pod};

    kube_store_each(kube_watch_store(controller->gates), ns, recount_if_selected, &selected);
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
    spec.release = free;
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
                                   .keep = keep_nothing,
                                   .release = free,
                                   .changed = on_namespace,
                                   .synced = controller_synced,
                                   .data = controller};

    return kube_watch_start(controller->client, &spec, controller->log,
                            &controller->pods.namespaces, err);
}

int pods_watch(struct controller *controller, const char *namespace_, struct error *err)
{
    int r;

    controller->pods.namespace_ = namespace_;
    r = watch_named(controller, err);
    return r < 0 || namespace_ ? r : watch_namespaces(controller, err);
}

void pods_stop(struct pods *pods)
{
    kube_watch_stop(pods->named);
    kube_watch_stop(pods->others);
    kube_watch_stop(pods->namespaces);
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
    if (!*pod->version) {
        census_add(&counting->census->missing, name);
        return true;
    }
    if (!*counting->version.text)
        counting->version = render_version(counting->gate);
    counting->census->gated++;
    if (strcmp(pod->version, counting->version.text) != 0)
        census_add(&counting->census->outdated, name);
    return true;
}

static bool count_other(void *data, const char *ns, const char *name, void *kept)
{
    const struct counting *counting = data;
    const struct pod *pod = kept;

    (void)ns;
    if (!pod->leaving && selector_selects(counting->gate->pod_selector, label_of, pod->labels))
        census_add(&counting->census->missing, name);
    return true;
}

void pods_count(const struct pods *pods, const struct gitgate *gate, struct census *ret)
{
    struct counting counting = {.gate = gate, .census = ret};

    *ret = (struct census){0};
    kube_store_each(kube_watch_store(pods->named), gate->namespace_, count_named, &counting);
    if (pods->others && gate->pod_selector && is_enabled(pods, gate->namespace_))
        kube_store_each(kube_watch_store(pods->others), gate->namespace_, count_other, &counting);
}
