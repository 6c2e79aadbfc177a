#include "select.h"

#include <string.h>

#include "api/selector.h"

/* Each is searched for by each requirement of a namespace's podSelectors; nobody has so many. */
#define LABELS_MAX 1000
/* Of a pod's labels, that all these requirements look at: some milliseconds' work. Whoever writes
 * GitGates and pods in one namespace can make both as many as there is room for, and all others'
 * pods wait. Ten thousand selectors of one label and a pod of thirty come to less. */
#define LOOKS_MAX 500000

/* A pod's, and how many were looked at so far. */
struct labels {
    const struct node *node;
    size_t n, *looks;
};

static const struct node *labels_of(const struct node *pod)
{
    return node_get(node_get(pod, "metadata"), "labels");
}

const char *pod_gate_label(const struct node *pod)
{
    return node_string(node_get(labels_of(pod), GITGATE_LABEL_GATE));
}

static const char *label_of(const void *data, const char *key)
{
    const struct labels *labels = data;

    *labels->looks += labels->n;
    return node_string(node_get(labels->node, key));
}

static struct gate *gate_named(struct gate_list gates, const char *name)
{
    for (size_t i = 0; i < gates.n; i++)
        if (strcmp(gates.gates[i]->name, name) == 0)
            return gates.gates[i];
    return NULL;
}

static enum selection refuse_missing(const char *name, const char *namespace_, struct buf *reason)
{
    if (*name)
        buf_addf(reason,
                 "label " GITGATE_LABEL_GATE
                 ": there is no GitGate \"%.63s\" in namespace \"%.63s\": create it first, or "
                 "correct the label",
                 name, namespace_);
    else
        buf_addf(reason,
                 "label " GITGATE_LABEL_GATE " is empty: set it to the name of a GitGate in "
                 "namespace \"%.63s\", or remove it",
                 namespace_);
    return SELECT_MISSING;
}

static enum selection refuse_two(const struct gate *a, const struct gate *b, bool by_label,
                                 struct buf *reason)
{
    if (by_label)
        buf_addf(reason,
                 "two GitGates claim this pod: \"%s\" by label " GITGATE_LABEL_GATE
                 ", \"%s\" by its podSelector: change the label or that selector",
                 a->name, b->name);
    else
        buf_addf(reason,
                 "two GitGates claim this pod: the podSelectors of \"%s\" and \"%s\" both match "
                 "its labels: narrow one of them",
                 a->name, b->name);
    return SELECT_REFUSED;
}

static enum selection refuse_long(const struct labels *labels, const char *namespace_,
                                  struct buf *reason)
{
    buf_addf(reason,
             "the podSelectors of the GitGates in namespace \"%.63s\" have too many requirements "
             "for a pod of %zu labels: make either fewer",
             namespace_, labels->n);
    return SELECT_REFUSED;
}

enum selection select_gate(const struct node *pod, const char *namespace_, bool namespace_enabled,
                           struct gate_list gates, struct gate **ret, struct buf *reason)
{
    const char *label = pod_gate_label(pod);
    struct gate *found = label ? gate_named(gates, label) : NULL;
    size_t looks = 0;
    struct labels labels = {labels_of(pod), node_count(labels_of(pod)), &looks};

    if (label && !found)
        return refuse_missing(label, namespace_, reason);
    if (namespace_enabled && gates.n > 0 && labels.n > LABELS_MAX) {
        buf_addf(reason, "the pod has more than %d labels: remove some", LABELS_MAX);
        return SELECT_REFUSED;
    }
    /* A label must not lead a pod around the gate that its namespace's owner selected for it. */
    for (size_t i = 0; namespace_enabled && i < gates.n; i++) {
        struct gate *gate = gates.gates[i];

        if (looks > LOOKS_MAX)
            return refuse_long(&labels, namespace_, reason);
        if ((found && strcmp(gate->name, found->name) == 0) ||
            !selector_selects(gate->pod_selector, label_of, &labels))
            continue;
        if (found)
            return refuse_two(found, gate, label != NULL, reason);
        found = gate;
    }
    if (!found)
        return SELECT_NONE;
    if (found->problem) {
        buf_addf(reason, "GitGate \"%s\" can't be used until it is corrected: %s", found->name,
                 found->problem);
        return SELECT_REFUSED;
    }
    *ret = found;
    return SELECT_GATE;
}
