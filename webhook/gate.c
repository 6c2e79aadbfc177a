#include "gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static void drop_members_but(json_t *object, const char *const *kept)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, key, value) {
        const char *const *name = kept;

        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name)
            json_object_del(object, key);
    }
}

static void drop_unasked_of(struct upstream *upstream, json_t *object)
{
    upstream->known_host_keys[0] = NULL;
    upstream->push.refs[0] = NULL;
    if (upstream->push.options)
        upstream->push.options[0] = NULL;
    json_object_del(json_object_get(object, "ssh"), "knownHostKeys");
    json_object_del(object, "push");
}

/* What injection never asks for is most of a large GitGate, and all are kept of which there is any
 * number: whoever writes GitGates in one namespace must not fill the memory that serves all. */
static void drop_unasked(struct gitgate *gate)
{
    static const char *const identity[] = {"name", "namespace", "uid", NULL};
    json_t *spec = json_object_get(gate->source, "spec");
    json_t *upstreams = json_object_get(spec, "upstreams");

    drop_members_but(json_object_get(gate->source, "metadata"), identity);
    json_object_del(gate->source, "status");
    json_object_del(spec, "scan");
    json_object_del(spec, "network");
    gate->scan = (struct scan_policy){0};
    gate->agent_egress = NULL;
    for (size_t i = 0; i < gate->n_upstreams; i++)
        drop_unasked_of(&gate->upstreams[i], json_array_get(upstreams, i));
}

/* What is not usable is kept with its problem; only short memory is an error. */
static int decode(const json_t *object, struct gate *gate)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    int r = gitgate_decode(object, false, &gate->spec, &problems);

    if (r == 0) {
        gate->decoded = true;
        gate->version = render_version(&gate->spec);
        drop_unasked(&gate->spec);
        return *gate->version.text ? 0 : -ENOMEM;
    }
    if (r == -EINVAL)
        gate->problem = first_problems(&problems);
    return gate->problem ? 0 : -ENOMEM;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* A GitGate that is so new that the controller has said nothing yet is not told of. */
static char *not_ready(const json_t *object)
{
    cleanup_buf struct buf text = BUF_INIT(PROBLEM_MAX);
    const json_t *condition;
    size_t i;

    json_array_foreach(json_object_get(json_object_get(object, "status"), "conditions"), i,
                       condition) {
        if (strcmp(text_of(condition, "type"), "Ready") != 0 ||
            strcmp(text_of(condition, "status"), "False") != 0)
            continue;
        buf_addf(&text, "%s: %.500s", text_of(condition, "reason"), text_of(condition, "message"));
        return buf_take(&text);
    }
    return NULL;
}

/* A GitGate that can't be read has no spec: it may select any pod, and each is told so. */
static int select_pods(const json_t *object, struct gate *gate)
{
    const json_t *spec = json_object_get(object, "spec");
    const json_t *selector = json_object_get(spec, "podSelector");

    if (spec && !json_is_object(selector))
        return 0;
    gate->pod_selector = spec ? json_deep_copy(selector) : json_object();
    return gate->pod_selector ? 0 : -ENOMEM;
}

struct gate *gate_new(const json_t *object)
{
    CLEANUP(free_gate) struct gate *gate = calloc(1, sizeof *gate);
    const json_t *metadata = json_object_get(object, "metadata");

    if (!gate)
        return NULL;
    gate->namespace_ = strdup(text_of(metadata, "namespace"));
    gate->name = strdup(text_of(metadata, "name"));
    gate->not_ready = not_ready(object);
    if (!gate->namespace_ || !*gate->namespace_ || !gate->name || !*gate->name ||
        select_pods(object, gate) < 0 || decode(object, gate) < 0)
        return NULL;
    return TAKE_PTR(gate);
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    if (gate->decoded)
        gitgate_done(&gate->spec);
    parts_free(gate->parts);
    json_decref(gate->pod_selector);
    free(gate->not_ready);
    free(gate->problem);
    free(gate->name);
    free(gate->namespace_);
    free(gate);
}

const struct parts *gate_parts(struct gate *gate, const struct parts_options *options)
{
    if (!gate->parts)
        gate->parts = parts_new(&gate->spec, options);
    return gate->parts;
}
