#include "reconcile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"
#include "status.h"

/* What stands in a problem of the credentials, and then in their condition. */
#define REASON_NO_SECRET "SecretNotFound"
#define REASON_NO_CONFIG_MAP "ConfigMapNotFound"
#define REASON_UNREADABLE "SourceUnreadable"
#define REASON_UNUSABLE "CredentialUnusable"

/* ---- Addresses ---------------------------------------------------------------------------- */

/* The addresses that the status names for this upstream, when it had the same host. */
static const json_t *earlier_addresses(const struct observed *observed,
                                       const struct upstream *upstream)
{
    json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(observed->status, "upstreams"), i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        const char *host = json_string_value(json_object_get(entry, "host"));

        if (name && host && strcmp(name, upstream->name) == 0 &&
            strcmp(host, upstream->url.host) == 0)
            return json_object_get(entry, "addresses");
    }
    return NULL;
}

/* Of each upstream, an array: what was resolved; else, after a restart with a DNS that is down,
 * what the status still knows. */
static json_t *addresses_of(const struct observed *observed)
{
    json_t *all = json_array();

    for (size_t i = 0; all && i < observed->gate->n_upstreams; i++) {
        const struct resolved *resolved = &observed->resolved[i];
        const json_t *earlier = earlier_addresses(observed, &observed->gate->upstreams[i]);
        json_t *list = NULL;

        if (!resolved->ips[0] && json_is_array(earlier)) {
            list = json_deep_copy(earlier);
        } else {
            list = json_array();
            for (size_t j = 0; list && resolved->ips[j]; j++)
                json_array_append_new(list, json_string(resolved->ips[j]));
        }
        if (json_array_append_new(all, list) < 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

#define IPS_MAX 128 /* of an upstream; the resolver keeps fewer */

static json_t *render_egress(const struct gitgate *gate, const json_t *addresses)
{
    static const char *const none[] = {NULL};
    struct upstream_addresses *list = calloc(gate->n_upstreams + 1, sizeof *list);
    const char **ips = calloc(gate->n_upstreams + 1, (IPS_MAX + 1) * sizeof *ips);
    json_t *policy = NULL;

    for (size_t i = 0; list && ips && i < gate->n_upstreams; i++) {
        const json_t *array = json_array_get(addresses, i);
        const char **mine = ips + i * (IPS_MAX + 1);
        size_t n = 0;

        for (size_t j = 0; j < json_array_size(array) && n < IPS_MAX; j++)
            if (json_is_string(json_array_get(array, j)))
                mine[n++] = json_string_value(json_array_get(array, j));
        list[i].ips = n ? mine : none;
    }
    if (list && ips)
        policy = render_policy_egress(gate, list);
    free(list);
    free(ips);
    return policy;
}

/* ---- Steps -------------------------------------------------------------------------------- */

static int set_metadata(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(json_object_get(object, "metadata"), key, value);
}

static json_t *uid_json(const struct uid *uid)
{
    char text[UID_TEXT_SIZE];

    uid_print(uid, text);
    return json_string(text);
}

/* Steals `object`. What is there must have the uid that was seen, and to create something is
 * refused where anything is: so an object that isn't ours can't be taken over, not even in the
 * moment between look and write. */
static int add_write(const struct observed *observed, enum owned which, json_t *object,
                     const struct digest *digest, struct plan *plan)
{
    const struct seen *seen = observed->owned[which];
    json_t *applied = seen_applied(digest, json_object_size(json_object_get(object, "data")));
    int r = set_metadata(object, "annotations", json_pack("{s:o}", ANNOTATION_APPLIED, applied));

    if (seen)
        r |= set_metadata(object, "uid", uid_json(&seen->uid));
    plan->steps[plan->n_steps++] =
        (struct step){.verb = seen ? STEP_UPDATE : STEP_CREATE, .which = which, .object = object};
    return r < 0 ? -ENOMEM : 0;
}

static int add_delete(const struct observed *observed, enum owned which, struct plan *plan)
{
    const struct gitgate *gate = observed->gate;
    struct name name = gitgate_owned_name(gate->name, owned_types[which].name);
    json_t *object = json_pack("{s:{s:s, s:s, s:o}}", "metadata", "namespace", gate->namespace_,
                               "name", name.text, "uid", uid_json(&observed->owned[which]->uid));

    if (!object)
        return -ENOMEM;
    plan->steps[plan->n_steps++] =
        (struct step){.verb = STEP_DELETE, .which = which, .object = object};
    return 0;
}

static json_t *render_plain(const struct observed *observed, enum owned which,
                            const json_t *addresses)
{
    switch (which) {
    case OWNED_INTERNAL:
        return render_policy_internal(observed->gate);
    case OWNED_EGRESS:
        return render_egress(observed->gate, addresses);
    case OWNED_HOOKS:
        return render_hooks(observed->gate);
    default:
        return render_client(observed->gate, GITGATE_HOSTNAME);
    }
}

static int plan_plain(const struct observed *observed, enum owned which, const json_t *addresses,
                      struct plan *plan)
{
    struct digest digest;
    json_t *object;

    if (observed_collides(observed, which))
        return 0;
    if (!observed_wants(observed, which))
        return observed->owned[which] ? add_delete(observed, which, plan) : 0;
    object = render_plain(observed, which, addresses);
    if (!object)
        return -ENOMEM;
    digest = digest_of_json(object);
    plan->right[which] = observed_is_right(observed, which, &digest);
    if (!plan->right[which])
        return add_write(observed, which, object, &digest, plan);
    json_decref(object);
    return 0;
}

/* ---- Credentials -------------------------------------------------------------------------- */

/* NULL: it was read, or none is named. */
static const char *reason_of_source(const json_t *sources, const char *name, const char *absent)
{
    const json_t *source = name ? json_object_get(sources, name) : NULL;

    if (!name || json_is_object(source))
        return NULL;
    return source ? REASON_UNREADABLE : absent;
}

static const char *reason_of_problem(const struct observed *observed, const char *path)
{
    const struct gitgate *gate = observed->gate;
    const struct render_sources *sources = observed->sources;
    const char *reason = NULL;
    size_t i = judge_upstream(path);

    if (i < gate->n_upstreams) {
        reason = reason_of_source(sources->secrets, gate->upstreams[i].secret, REASON_NO_SECRET);
        if (!reason)
            reason = reason_of_source(sources->config_maps, gate->upstreams[i].ca_config_map,
                                      REASON_NO_CONFIG_MAP);
    } else if (strncmp(path, "spec.scan.", 10) == 0) {
        reason =
            reason_of_source(sources->config_maps, gate->scan.config_map, REASON_NO_CONFIG_MAP);
    }
    return reason ? reason : REASON_UNUSABLE;
}

static json_t *problems_json(const struct observed *observed, const struct problems *problems)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < problems->n; i++) {
        const struct problem *problem = &problems->list[i];
        json_t *entry =
            json_pack("{s:s, s:s, s:s}", "path", problem->path, "message", problem->message,
                      "reason", reason_of_problem(observed, problem->path));

        if (json_array_append_new(list, entry) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* After a restart nothing is remembered; but what was made of the same sources and found in order
 * then is so now. */
static bool known_to_be_right(const struct observed *observed)
{
    return observed_is_right(observed, OWNED_CREDS, &observed->made_from) &&
           observed_held(observed, "CredentialsResolved");
}

static bool creds_are_right(const struct observed *observed)
{
    return !observed_collides(observed, OWNED_CREDS) &&
           observed_is_right(observed, OWNED_CREDS, &observed->made_from);
}

static bool must_write_creds(const struct observed *observed)
{
    return !observed_collides(observed, OWNED_CREDS) && !creds_are_right(observed) &&
           !(observed->sources && json_is_null(observed->sources->made));
}

static int plan_no_creds(const struct observed *observed, struct plan *plan)
{
    struct digest digest;
    json_t *object;

    if (!observed->owned[OWNED_CREDS] || observed_collides(observed, OWNED_CREDS))
        return 0;
    object = render_no_creds(observed->gate);
    if (!object)
        return -ENOMEM;
    digest = digest_of_json(object);
    plan->right[OWNED_CREDS] = observed_is_right(observed, OWNED_CREDS, &digest);
    if (!plan->right[OWNED_CREDS])
        return add_write(observed, OWNED_CREDS, object, &digest, plan);
    json_decref(object);
    return 0;
}

static bool need_sources(const struct observed *observed)
{
    return !observed->sources && !observed_withholds(observed) &&
           (must_write_creds(observed) || (!observed->creds_known && !known_to_be_right(observed)));
}

/* Gives `known` the list of problems (new reference). */
static int plan_creds(const struct observed *observed, struct plan *plan, json_t **known)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    bool write = must_write_creds(observed);
    json_t *object;

    if (observed_withholds(observed)) {
        *known = json_incref((json_t *)observed->creds_problems);
        return plan_no_creds(observed, plan);
    }
    plan->right[OWNED_CREDS] = creds_are_right(observed);
    if (!write && (observed->creds_known || known_to_be_right(observed))) {
        *known = json_incref((json_t *)observed->creds_problems);
        return 0;
    }
    object = render_creds(observed->gate, observed->sources, &problems);
    *known = problems_json(observed, &problems);
    plan->creds_problems = json_incref(*known);
    if (object && write)
        return add_write(observed, OWNED_CREDS, object, &observed->made_from, plan);
    json_decref(object);
    return object && *known ? 0 : -ENOMEM;
}

/* ---- All together ------------------------------------------------------------------------- */

static bool is_being_deleted(const struct observed *observed)
{
    return json_object_get(json_object_get(observed->object, "metadata"), "deletionTimestamp");
}

static int plan_all(const struct observed *observed, time_t now, struct plan *plan)
{
    json_auto_t *addresses = addresses_of(observed), *problems = NULL;
    int r = addresses ? 0 : -ENOMEM;

    for (enum owned i = 0; r == 0 && i < OWNED_N; i++)
        r = i == OWNED_CREDS ? plan_creds(observed, plan, &problems)
                             : plan_plain(observed, i, addresses, plan);
    if (r == 0)
        plan->status = judge(observed, addresses, problems, NULL, NULL, now);
    return r;
}

int reconcile(const struct observed *observed, time_t now, struct plan *ret)
{
    struct plan plan = {0};
    int r = 0;

    if (is_being_deleted(observed)) /* the garbage collector follows the owner references */
        ;
    else if (!observed->gate)
        plan.status = judge_spec(observed, now);
    else if (need_sources(observed)) /* before anything is rendered: else it would be twice */
        plan.need_sources = true;
    else
        r = plan_all(observed, now, &plan);
    if (r < 0)
        plan_done(&plan);
    *ret = plan;
    return r;
}

json_t *reconcile_failed(const struct observed *observed, const struct plan *plan,
                         const struct step *step, const char *message, time_t now)
{
    json_auto_t *addresses = addresses_of(observed);
    const json_t *problems = plan->creds_problems ? plan->creds_problems : observed->creds_problems;

    return judge(observed, addresses, problems, step, message, now);
}

void plan_done(struct plan *plan)
{
    for (size_t i = 0; i < plan->n_steps; i++)
        json_decref(plan->steps[i].object);
    json_decref(plan->creds_problems);
    json_decref(plan->status);
    *plan = (struct plan){0};
}
