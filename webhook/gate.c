#include "gate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define PROBLEM_MAX 2048

static void free_gate(struct gate **gate)
{
    gate_free(*gate);
}

static char *first_problems(const struct problems *problems)
{
    cleanup_buf struct buf text = BUF_INIT(PROBLEM_MAX);

    for (size_t i = 0; i < problems->n; i++)
        buf_addf(&text, "%s%s: %s", i ? "; " : "", problems->list[i].path,
                 problems->list[i].message);
    if (buf_error(&text) == -E2BIG) {
        buf_reset(&text);
        buf_addf(&text, "%zu fields are wrong, %s first", problems->n, problems->list[0].path);
    }
    return buf_take(&text);
}

/* What is not usable is kept with its problem; only short memory is an error. */
static int decode(struct gate *gate)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    int r = gitgate_decode(gate->object, false, &gate->spec, &problems);

    if (r == 0) {
        gate->decoded = true;
        gate->version = render_version(&gate->spec);
        return *gate->version.text ? 0 : -ENOMEM;
    }
    if (r == -EINVAL)
        gate->problem = first_problems(&problems);
    return gate->problem ? 0 : -ENOMEM;
}

struct gate *gate_new(const json_t *object)
{
    CLEANUP(free_gate) struct gate *gate = calloc(1, sizeof *gate);
    const json_t *metadata, *selector;

    if (!gate)
        return NULL;
    gate->object = json_deep_copy(object);
    metadata = json_object_get(gate->object, "metadata");
    gate->namespace_ = json_string_value(json_object_get(metadata, "namespace"));
    gate->name = json_string_value(json_object_get(metadata, "name"));
    selector = json_object_get(json_object_get(gate->object, "spec"), "podSelector");
    gate->pod_selector = json_is_object(selector) ? selector : NULL;
    if (!gate->namespace_ || !gate->name || decode(gate) < 0)
        return NULL;
    return TAKE_PTR(gate);
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    if (gate->decoded)
        gitgate_done(&gate->spec);
    free(gate->problem);
    json_decref(gate->object);
    free(gate);
}
