#include "judge.h"

#include <stdio.h>
#include <string.h>

#include "status.h"

/* What stands in the fields of a condition. */
#define REASON_INVALID "InvalidSpec"
#define REASON_COLLISION "NameCollision"
#define REASON_APPLY_FAILED "ApplyFailed"
#define REASON_RENDERED "Rendered"
#define REASON_RESOLVED "Resolved"
#define REASON_NOT_RESOLVED "NotResolved"

size_t judge_upstream(const char *path)
{
    size_t i;

    return sscanf(path, "spec.upstreams[%zu]", &i) == 1 ? i : GITGATE_UPSTREAMS_MAX;
}

static bool has_problem(const json_t *problems, size_t upstream)
{
    json_t *problem;
    size_t i;

    json_array_foreach((json_t *)problems, i, problem) {
        if (judge_upstream(json_string_value(json_object_get(problem, "path"))) == upstream)
            return true;
    }
    return false;
}

static void judge_credentials(const struct observed *observed, const json_t *problems,
                              struct condition *condition)
{
    const struct gitgate *gate = observed->gate;
    json_t *problem;
    size_t i;

    if (observed_withholds(observed)) {
        condition_fail(condition, REASON_COLLISION,
                       "the gate has no credentials as long as ConfigMap %s, which says what it "
                       "runs, does not belong to this GitGate",
                       gitgate_owned_name(gate->name, NAME_HOOKS).text);
        return;
    }
    json_array_foreach((json_t *)problems, i, problem) {
        const char *path = json_string_value(json_object_get(problem, "path"));
        size_t upstream = judge_upstream(path);

        condition_fail(condition, json_string_value(json_object_get(problem, "reason")),
                       "%s: %s: %s",
                       upstream < gate->n_upstreams ? gate->upstreams[upstream].name : "spec", path,
                       json_string_value(json_object_get(problem, "message")));
    }
    condition_hold(condition, REASON_RESOLVED, "every upstream has what it needs");
}

static void judge_addresses(const struct observed *observed, const json_t *addresses,
                            struct condition *condition)
{
    const struct gitgate *gate = observed->gate;

    for (size_t i = 0; i < gate->n_upstreams; i++) {
        const struct upstream *upstream = &gate->upstreams[i];
        const char *error = observed->resolved[i].error;

        if (json_array_size(json_array_get(addresses, i)) == 0)
            condition_fail(condition, REASON_NOT_RESOLVED,
                           "%s: the host %s has no address: %s; nothing reaches it until it has",
                           upstream->name, upstream->url.host,
                           *error ? error : "it was not looked up yet");
        else if (*error)
            condition_hold(condition, REASON_KEPT,
                           "%s: the host %s can't be looked up now (%s); its last known addresses "
                           "stay allowed",
                           upstream->name, upstream->url.host, error);
    }
    if (!condition->reason)
        condition_hold(condition, REASON_RESOLVED, "every upstream has an address");
}

static void judge_objects(const struct observed *observed, struct condition *condition)
{
    for (enum owned i = 0; i < OWNED_N; i++) {
        struct name name = gitgate_owned_name(observed->gate->name, owned_types[i].name);

        if (observed_wants(observed, i) && observed_collides(observed, i))
            condition_fail(condition, REASON_COLLISION,
                           "%s %s exists and does not belong to this GitGate; it is left as it is: "
                           "delete or rename it",
                           owned_types[i].resource->kind, name.text);
    }
    condition_hold(condition, REASON_RENDERED, "all objects are as they should be");
}

static void judge_invalid(const struct observed *observed, struct conditions *conditions)
{
    const struct problems *invalid = observed->invalid;
    static const char see[] = "the spec is not valid, see Rendered; what was made from an earlier "
                              "one is left as it is";

    for (size_t i = 0; i < invalid->n; i++)
        condition_fail(&conditions->rendered, REASON_INVALID, "%s %s", invalid->list[i].path,
                       invalid->list[i].message);
    if (!invalid->n)
        condition_fail(&conditions->rendered, REASON_INVALID, "the spec can't be read");
    condition_unknown(&conditions->credentials_resolved, REASON_INVALID, see);
    condition_unknown(&conditions->upstreams_resolved, REASON_INVALID, see);
}

static json_t *upstreams_json(const struct gitgate *gate, const json_t *addresses)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < gate->n_upstreams; i++) {
        const struct upstream *upstream = &gate->upstreams[i];

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:i, s:O}", "name", upstream->name, "host",
                                        upstream->url.host, "port", (int)upstream->url.port,
                                        "addresses", json_array_get(addresses, i)));
    }
    return list;
}

/* "1/2": of the upstreams, those with credentials and an address. */
static json_t *ready_json(const struct observed *observed, const json_t *addresses,
                          const json_t *problems)
{
    const struct gitgate *gate = observed->gate;
    size_t ready = 0;

    for (size_t i = 0; !observed_withholds(observed) && i < gate->n_upstreams; i++)
        if (json_array_size(json_array_get(addresses, i)) && !has_problem(problems, i))
            ready++;
    return json_sprintf("%zu/%zu", ready, gate->n_upstreams);
}

/* NULL when it is the present one. */
static json_t *unless_same(json_t *status, const json_t *present)
{
    if (!json_equal(status, present))
        return status;
    json_decref(status);
    return NULL;
}

static uint64_t generation_of(const struct observed *observed)
{
    return (uint64_t)json_integer_value(
        json_object_get(json_object_get(observed->object, "metadata"), "generation"));
}

static json_t *status_json(const struct observed *observed, const struct conditions *conditions,
                           json_t *upstreams, json_t *ready, time_t now)
{
    uint64_t generation = generation_of(observed);

    json_t *pods = observed->census ? census_json(observed->census)
                                    : json_incref(json_object_get(observed->status, "pods"));

    return json_pack("{s:I, s:o, s:o*, s:o*, s:o*}", "observedGeneration", (json_int_t)generation,
                     "conditions",
                     conditions_json(conditions, json_object_get(observed->status, "conditions"),
                                     generation, now),
                     "upstreams", upstreams, "upstreamsReady", ready, "pods", pods);
}

json_t *judge_spec(const struct observed *observed, time_t now)
{
    cleanup_conditions struct conditions conditions;
    const json_t *upstreams = json_object_get(observed->status, "upstreams");
    const json_t *ready = json_object_get(observed->status, "upstreamsReady");

    conditions_init(&conditions);
    judge_invalid(observed, &conditions);
    return unless_same(status_json(observed, &conditions, json_incref((json_t *)upstreams),
                                   json_incref((json_t *)ready), now),
                       observed->status);
}

/* Where it isn't known now, as the status has it. */
static bool is_selector_idle(const struct observed *observed)
{
    const json_t *conditions = json_object_get(observed->status, "conditions");
    const char *reason =
        json_string_value(json_object_get(condition_find(conditions, "Ready"), "reason"));

    if (observed->census)
        return observed->census->selector_idle;
    return observed->gate->pod_selector && reason && strcmp(reason, REASON_SELECTOR_IDLE) == 0;
}

json_t *judge(const struct observed *observed, const json_t *addresses, const json_t *problems,
              const struct step *failed, const char *message, time_t now)
{
    cleanup_conditions struct conditions conditions;
    const struct gitgate *gate = observed->gate;

    conditions_init(&conditions);
    conditions.selector_idle = is_selector_idle(observed);
    if (failed)
        condition_fail(&conditions.rendered, REASON_APPLY_FAILED, "%s %s: %s",
                       owned_types[failed->which].resource->kind,
                       gitgate_owned_name(gate->name, owned_types[failed->which].name).text,
                       message);
    judge_objects(observed, &conditions.rendered);
    judge_credentials(observed, problems, &conditions.credentials_resolved);
    judge_addresses(observed, addresses, &conditions.upstreams_resolved);
    return unless_same(status_json(observed, &conditions, upstreams_json(gate, addresses),
                                   ready_json(observed, addresses, problems), now),
                       observed->status);
}
