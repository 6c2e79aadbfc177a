#include "inject.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"
#include "group.h"
#include "guard.h"
#include "select.h"

struct injection {
    const struct node *pod;
    const struct node *spec;
    const struct node *old_pod; /* of an UPDATE */
    const char *namespace_;
    struct gate *gate;
    const struct parts *parts;
    uint32_t group; /* the gate's, in this pod */
    bool outdated;  /* it was injected when the gate was rendered otherwise */
    struct patch *patch;
    struct problems problems;
};

/* The element of `list` whose member `key` is `text`, and where it is. */
static const struct node *find(const struct node *list, const char *key, const char *text,
                               size_t *index)
{
    const struct node *element;

    *index = 0;
    node_each(list, element)
    {
        if (node_is_text(node_get(element, key), text))
            return element;
        ++*index;
    }
    return NULL;
}

/* Ours by name, but not by content: brought along with the pod, or changed by somebody after us. */
static void add_foreign(struct injection *in, const char *list, size_t index, const char *field)
{
    char path[64];

    snprintf(path, sizeof path, "spec.%s[%zu]", list, index);
    problems_add(&in->problems, path,
                 "this is not what gitgate injects (\"%.63s\" differs): remove it from the pod's "
                 "template, or rename it",
                 field);
}

static struct pointer pointer_to_list(const char *list)
{
    struct pointer spec = pointer_to("/spec");

    return pointer_member(&spec, list);
}

/* NULL counts as short memory in a patch. */
static const char *buf_text(const struct buf *text)
{
    return buf_error(text) ? NULL : text->data;
}

/* ---- Volumes ------------------------------------------------------------------------------- */

static void patch_volumes(struct injection *in)
{
    const struct node *theirs = node_get(in->spec, "volumes");
    struct pointer list = pointer_to_list("volumes");
    bool exists = node_is(theirs, NODE_ARRAY);
    const char *field = "";
    size_t at;

    for (size_t i = 0; i < in->parts->volumes.n; i++) {
        const struct part *ours = &in->parts->volumes.parts[i];
        const struct node *present = find(theirs, "name", ours->name, &at);

        if (!present)
            patch_append(in->patch, &list, &exists, ours->text);
        else if (parts_same_volume(document_root(&ours->document), present, &field))
            continue;
        else if (in->outdated)
            patch_replace(in->patch, pointer_index(&list, at), ours->text);
        else
            add_foreign(in, "volumes", at, field);
    }
}

/* ---- Containers ---------------------------------------------------------------------------- */

/* A list of the pod as the operations so far have made it; ours are NULL in it. */
struct order {
    const struct node **list;
    size_t n;
};

static int order_init(const struct node *theirs, size_t more, struct order *ret)
{
    const struct node *element;

    *ret = (struct order){calloc(node_count(theirs) + more, sizeof *ret->list), 0};
    if (!ret->list)
        return -ENOMEM;
    node_each(theirs, element) ret->list[ret->n++] = element;
    return 0;
}

static const struct node *order_find(const struct order *order, const char *name, size_t *at)
{
    for (*at = 0; *at < order->n; ++*at)
        if (order->list[*at] && node_is_text(node_get(order->list[*at], "name"), name))
            return order->list[*at];
    return NULL;
}

static void order_insert(struct order *order, size_t at)
{
    memmove(order->list + at + 1, order->list + at, (order->n - at) * sizeof *order->list);
    order->list[at] = NULL;
    order->n++;
}

static void order_remove(struct order *order, size_t at)
{
    order->n--;
    memmove(order->list + at, order->list + at + 1, (order->n - at) * sizeof *order->list);
}

/* The container `present`, of our name, stays when it is ours by content too; an older form of it
 * is replaced, anything else refused (false). */
static bool settle_container(struct injection *in, const struct part_list *parts,
                             const struct part *ours, const struct node *present, size_t at)
{
    cleanup_buf struct buf text = BUF_INIT(PART_TEXT_MAX), body = BUF_INIT(PART_TEXT_MAX);
    cleanup_document struct document document = DOCUMENT_INIT;
    struct pointer list = pointer_to_list(parts->list);
    const char *field = "";
    int r;

    part_write(ours, in->group, &text);
    buf_add(&body, text.data, text.len);
    r = buf_error(&body) ? buf_error(&body) : document_parse(body.data, body.len, &document, NULL);
    if (r < 0) {
        in->patch->err = r;
        return false;
    }
    if (parts_same_container(document_root(&document), present, &field))
        return true;
    if (in->outdated)
        patch_replace(in->patch, pointer_index(&list, at), buf_text(&text));
    else
        add_foreign(in, parts->list, at, field);
    return in->outdated;
}

static void insert_container(struct injection *in, const struct part *ours, struct pointer here)
{
    cleanup_buf struct buf text = BUF_INIT(PART_TEXT_MAX);

    part_write(ours, in->group, &text);
    patch_add(in->patch, here, buf_text(&text));
}

/* They come first, in our order. */
static void patch_container(struct injection *in, const struct part_list *parts, size_t place,
                            struct order *order)
{
    const struct part *ours = &parts->parts[place];
    struct pointer list = pointer_to_list(parts->list), here = pointer_index(&list, place);
    size_t at;
    const struct node *present = order_find(order, ours->name, &at);

    if (!present) {
        insert_container(in, ours, here);
        order_insert(order, place);
        return;
    }
    if (settle_container(in, parts, ours, present, at) && at != place) {
        patch_move(in->patch, pointer_index(&list, at), here);
        order_remove(order, at);
        order_insert(order, place);
    }
}

static void add_list(struct injection *in, const struct part_list *parts)
{
    cleanup_buf struct buf text = BUF_INIT(PARTS_LIST_MAX * PART_TEXT_MAX);

    part_list_write(parts, in->group, &text);
    patch_add(in->patch, pointer_to_list(parts->list), buf_text(&text));
}

static void patch_containers(struct injection *in, const struct part_list *parts)
{
    const struct node *theirs = node_get(in->spec, parts->list);
    struct order order;

    if (parts->n == 0)
        return;
    if (!node_is(theirs, NODE_ARRAY)) {
        add_list(in, parts);
        return;
    }
    if (order_init(theirs, parts->n, &order) < 0) {
        in->patch->err = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < parts->n; i++)
        patch_container(in, parts, i, &order);
    free((void *)order.list);
}

/* ---- Pull secrets -------------------------------------------------------------------------- */

static void patch_pull_secrets(struct injection *in)
{
    const struct node *theirs = node_get(in->spec, "imagePullSecrets");
    struct pointer list = pointer_to_list("imagePullSecrets");
    bool exists = node_is(theirs, NODE_ARRAY);
    json_t *secret;
    size_t i, at;

    json_array_foreach(in->gate->spec.image_pull_secrets, i, secret) {
        cleanup_free char *text = json_dumps(secret, JSON_COMPACT);

        if (!find(theirs, "name", json_string_value(json_object_get(secret, "name")), &at))
            patch_append(in->patch, &list, &exists, text);
    }
}

/* ---- The pod ------------------------------------------------------------------------------- */

/* A label or an annotation: its map is made when it isn't there. */
static void patch_mark(struct injection *in, const char *map, const char *key, const char *value)
{
    struct pointer metadata = pointer_to("/metadata"), at = pointer_member(&metadata, map);
    const struct node *theirs = node_get(node_get(in->pod, "metadata"), map);
    char text[256];

    if (node_is_text(node_get(theirs, key), value))
        return;
    if (node_is(theirs, NODE_OBJECT)) {
        patch_add_string(in->patch, pointer_member(&at, key), value);
        return;
    }
    snprintf(text, sizeof text, "{\"%s\":\"%s\"}", key, value);
    patch_add(in->patch, at, text);
}

static void treat_container(const struct container *container, void *data)
{
    struct injection *in = data;

    guard_container(container, &in->gate->spec, in->parts->secrets, in->group, &in->problems);
    agent_container(container, &in->gate->spec, in->parts, in->patch, &in->problems);
}

/* A running pod takes nothing but new ephemeral containers. */
static void treat_new_ephemeral(const struct container *container, void *data)
{
    struct injection *in = data;
    const struct node *old = node_get(node_get(in->old_pod, "spec"), container->list);
    size_t at;

    if (strcmp(container->list, "ephemeralContainers") == 0 &&
        !find(old, "name", container->name, &at))
        treat_container(container, data);
}

static bool is_outdated(const struct node *pod, const struct gate *gate)
{
    const struct node *annotations = node_get(node_get(pod, "metadata"), "annotations");
    const char *version = node_string(node_get(annotations, GITGATE_ANNOTATION_VERSION));

    return version && strcmp(version, gate->version.text) != 0;
}

/* The containers' operations stand before those that shift their places. */
static void inject_pod(struct injection *in)
{
    guard_pod(in->pod, &in->gate->spec, in->parts->secrets, in->group, &in->problems);
    pod_other_containers(in->pod, in->parts, treat_container, in);
    patch_containers(in, &in->parts->containers);
    patch_containers(in, &in->parts->init_containers);
    patch_volumes(in);
    hosts_guard(in->parts->hosts, in->pod, in->namespace_, &in->problems);
    hosts_patch(in->parts->hosts, in->spec, in->patch, &in->problems);
    patch_pull_secrets(in);
    patch_mark(in, "labels", GITGATE_LABEL_GATE, in->gate->name);
    patch_mark(in, "annotations", GITGATE_ANNOTATION_VERSION, in->gate->version.text);
}

/* The problems become the decision's. */
static void refuse(struct injection *in, struct decision *ret)
{
    decision_drop_patch(ret);
    ret->refusal = "pod";
    ret->problems = in->problems;
    in->problems = PROBLEMS_INIT;
    buf_addf(&ret->reason, "GitGate \"%s\" can't take this pod: ", in->gate->name);
    for (size_t i = 0; i < ret->problems.n && !buf_error(&ret->reason); i++)
        buf_addf(&ret->reason, "%s%s: %s", i ? "; " : "", ret->problems.list[i].path,
                 ret->problems.list[i].message);
}

static void decide(struct injection *in, struct decision *ret)
{
    ret->err = patch_error(&ret->patch);
    if (ret->err)
        return;
    if (in->problems.total > 0) {
        refuse(in, ret);
        return;
    }
    ret->allowed = true;
    patch_close(&ret->patch);
    if (in->gate->not_ready && ret->patch.n > 0)
        problems_add(&ret->warnings, "GitGate", "\"%s\" is not ready, so the pod may wait: %s",
                     in->gate->name, in->gate->not_ready);
}

void inject(const struct review *review, struct gate_list gates,
            const struct inject_options *options, struct decision *ret)
{
    struct injection in = {.pod = review->object,
                           .spec = node_get(review->object, "spec"),
                           .old_pod = review->old_object,
                           .namespace_ = review->namespace_,
                           .patch = &ret->patch};
    bool create = strcmp(review->operation, "CREATE") == 0;
    enum selection selection;

    if (strcmp(review->kind, "Pod") != 0 || !node_is(in.spec, NODE_OBJECT)) {
        ret->refusal = "review";
        buf_adds(&ret->reason, "only pods can be injected: correct the webhook's rules");
        return;
    }
    /* A running pod has the gate that its label names, or none. */
    selection = select_gate(in.pod, review->namespace_, create && options->namespace_enabled, gates,
                            &in.gate, &ret->reason);
    ret->allowed = selection == SELECT_NONE;
    ret->missing = selection == SELECT_MISSING;
    if (ret->missing)
        ret->gate = pod_gate_label(in.pod);
    if (!ret->allowed)
        ret->refusal = ret->missing ? "no-gate" : "gate";
    if (selection != SELECT_GATE)
        return;
    ret->refusal = NULL;
    ret->gate = in.gate->name;
    in.parts = gate_parts(in.gate, &options->parts);
    if (!in.parts) {
        ret->err = -ENOMEM;
        return;
    }
    in.group = group_of(in.pod, in.parts, options->random);
    in.outdated = is_outdated(in.pod, in.gate);
    guard_size(in.pod, &in.problems);
    if (in.problems.total == 0 && create)
        inject_pod(&in);
    else if (in.problems.total == 0)
        pod_other_containers(in.pod, in.parts, treat_new_ephemeral, &in);
    decide(&in, ret);
    problems_done(&in.problems);
}
