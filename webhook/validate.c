#include "validate.h"

#include <errno.h>
#include <string.h>

#include "parts.h"
#include "select.h"

/* A pod that is as injection makes it has nothing left to patch: the same function asks and
 * answers. */
static void refuse_what_is_left(struct decision *ret)
{
    const char *path = json_string_value(json_object_get(json_array_get(ret->patch, 0), "path"));

    if (json_array_size(ret->patch) == 0)
        return;
    ret->allowed = false;
    buf_addf(
        &ret->reason,
        "%s is not as GitGate \"%s\" injects it: another admission webhook changed the pod after "
        "gitgate, or the GitGate changed at this moment: create the pod again",
        path ? path : "the pod", ret->gate);
    json_decref(ret->patch);
    ret->patch = NULL;
}

static const char *mark_of(const json_t *pod, const char *map, const char *key)
{
    const json_t *marks = json_object_get(json_object_get(pod, "metadata"), map);
    const char *value = json_string_value(json_object_get(marks, key));

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

static const json_t *init_container(const json_t *pod, const char *name)
{
    const json_t *list = json_object_get(json_object_get(pod, "spec"), "initContainers");
    const json_t *container;
    size_t i;

    json_array_foreach(list, i, container)
    {
        const char *text = json_string_value(json_object_get(container, "name"));

        if (text && strcmp(text, name) == 0)
            return container;
    }
    return NULL;
}

/* A container's image can be changed while the pod runs, and this one has the credentials. */
static void keep_container(const struct review *review, const char *name, struct decision *ret)
{
    const json_t *old = init_container(review->old_object, name);
    const json_t *new = init_container(review->object, name);
    const char *field = "";

    if (!old || (new &&parts_same_container(old, new, &field)))
        return;
    ret->allowed = false;
    buf_addf(&ret->reason,
             "%sinit container \"%s\" of a running pod can't be changed (\"%.63s\" differs): set "
             "spec.gate of the GitGate and create the pod anew",
             ret->reason.len ? "; " : "", name, field);
}

/* Needs no GitGate: a pod keeps its gate even when the GitGate is gone. */
static void validate_change(const struct review *review, struct decision *ret)
{
    ret->gate = mark_of(review->old_object, "labels", GITGATE_LABEL_GATE);
    ret->allowed = true;
    keep_mark(review, "labels", GITGATE_LABEL_GATE, ret);
    keep_mark(review, "annotations", GITGATE_ANNOTATION_VERSION, ret);
    keep_container(review, CONTAINER_GATE, ret);
    keep_container(review, CONTAINER_ISOLATE, ret);
}

/* The label was taken off after injection, so nothing says which gate (and which NetworkPolicy) it
 * is. */
static void refuse_unlabelled(const struct review *review, struct decision *ret)
{
    if (*ret->gate || (!*mark_of(review->object, "annotations", GITGATE_ANNOTATION_VERSION) &&
                       !init_container(review->object, CONTAINER_GATE)))
        return;
    ret->allowed = false;
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
    struct gitgate gate;
    int r = review->object ? gitgate_decode(review->object, false, &gate, &problems) : -EINVAL;

    if (r == 0) {
        ret->allowed = true;
        gitgate_done(&gate);
    } else if (r == -EINVAL) {
        for (size_t i = 0; i < problems.n; i++)
            buf_addf(&ret->reason, "%s%s: %s", i ? "\n" : "", problems.list[i].path,
                     problems.list[i].message);
    } else {
        ret->err = r;
    }
}
