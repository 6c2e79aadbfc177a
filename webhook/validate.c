#include "validate.h"

#include <errno.h>
#include <string.h>

#include "advice.h"
#include "parts.h"
#include "select.h"

/* A pod that is as injection makes it has nothing left to patch: the same function asks and
 * answers. */
static void refuse_what_is_left(struct decision *ret)
{
    if (ret->patch.n == 0)
        return;
    ret->allowed = false;
    ret->refusal = "changed";
    buf_addf(
        &ret->reason,
        "%s is not as GitGate \"%s\" injects it: another admission webhook changed the pod after "
        "gitgate, or the GitGate changed at this moment: create the pod again",
        ret->patch.first.text, ret->gate);
    decision_drop_patch(ret);
}

static const char *mark_of(const struct node *pod, const char *map, const char *key)
{
    const char *value = node_string(node_get(node_get(node_get(pod, "metadata"), map), key));

    return value ? value : "";
}

static void keep_mark(const struct review *review, const char *map, const char *key,
                      struct decision *ret)
{
    if (strcmp(mark_of(review->old_object, map, key), mark_of(review->object, map, key)) == 0)
        return;
    ret->allowed = false;
    buf_addf(&ret->reason,
             "%smetadata.%s[%s] of a running pod can't be set, changed or removed: create the pod "
             "anew",
             ret->reason.len ? "; " : "", map, key);
}

static const struct node *container_of(const struct node *pod, const char *list, const char *name)
{
    const struct node *container, *all = node_get(node_get(pod, "spec"), list);

    node_each(all, container)
    {
        if (node_is_text(node_get(container, "name"), name))
            return container;
    }
    return NULL;
}

/* A container's image can be changed while the pod runs, and this one has the credentials. */
static void keep_container(const struct review *review, const char *list, const char *name,
                           struct decision *ret)
{
    const struct node *old = container_of(review->old_object, list, name);
    const struct node *new = container_of(review->object, list, name);
    const char *field = "";

    if (!old || (new &&parts_same_container(old, new, &field)))
        return;
    ret->allowed = false;
    buf_addf(&ret->reason,
             "%s%s \"%s\" of a running pod can't be changed (\"%.63s\" differs): set "
             "spec.gate of the GitGate and create the pod anew",
             ret->reason.len ? "; " : "",
             strcmp(list, "containers") == 0 ? "container" : "init container", name, field);
}

/* Needs no GitGate: a pod keeps its gate even when the GitGate is gone. */
static void validate_change(const struct review *review, struct decision *ret)
{
    ret->gate = mark_of(review->old_object, "labels", GITGATE_LABEL_GATE);
    ret->allowed = true;
    keep_mark(review, "labels", GITGATE_LABEL_GATE, ret);
    keep_mark(review, "annotations", GITGATE_ANNOTATION_VERSION, ret);
    keep_container(review, "initContainers", CONTAINER_GATE, ret);
    keep_container(review, "initContainers", CONTAINER_ISOLATE, ret);
    if (*ret->gate) /* elsewhere that name is anybody's */
        keep_container(review, "containers", CONTAINER_GATE, ret);
    ret->refusal = ret->allowed ? NULL : "update";
}

/* The label was taken off after injection, so nothing says which gate (and which NetworkPolicy) it
 * is. */
static void refuse_unlabelled(const struct review *review, struct decision *ret)
{
    if (*ret->gate || (!*mark_of(review->object, "annotations", GITGATE_ANNOTATION_VERSION) &&
                       !container_of(review->object, "initContainers", CONTAINER_GATE) &&
                       !container_of(review->object, "initContainers", CONTAINER_ISOLATE)))
        return;
    ret->allowed = false;
    ret->refusal = "label";
    buf_adds(&ret->reason, "the pod has the parts of a gate but no label " GITGATE_LABEL_GATE
                           ": set it to the GitGate's name, or remove those parts");
}

void validate_pod(const struct review *review, struct gate_list gates,
                  const struct inject_options *options, struct decision *ret)
{
    if (strcmp(review->operation, "UPDATE") == 0 && !*review->sub_resource) {
        validate_change(review, ret);
        return;
    }
    inject(review, gates, options, ret);
    if (ret->allowed)
        refuse_unlabelled(review, ret);
    if (ret->allowed)
        refuse_what_is_left(ret);
}

void validate_gitgate(const struct review *review, struct decision *ret)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *object = node_to_json(review->object);
    cleanup_gitgate struct gitgate gate = {0};
    int r = object ? gitgate_decode(object, false, &gate, &problems) : -EINVAL;

    if (r == 0) {
        ret->allowed = true;
        advise(&gate, review->old_object, &ret->warnings);
        return;
    }
    if (r != -EINVAL) {
        ret->err = r;
        return;
    }
    ret->refusal = "gitgate";
    if (!object)
        buf_adds(&ret->reason, "the review has no GitGate in it that can be read");
    for (size_t i = 0; i < problems.n; i++)
        buf_addf(&ret->reason, "%s%s: %s", i ? "\n" : "", problems.list[i].path,
                 problems.list[i].message);
}
