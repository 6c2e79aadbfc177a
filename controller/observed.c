#include "observed.h"

#include <string.h>

#include "status.h"

const struct owned_type owned_types[OWNED_N] = {
    [OWNED_INTERNAL] = {NAME_INTERNAL, &kube_network_policies},
    [OWNED_EGRESS] = {NAME_EGRESS, &kube_network_policies},
    [OWNED_CREDS] = {NAME_CREDS, &kube_secrets},
    [OWNED_HOOKS] = {NAME_HOOKS, &kube_config_maps},
    [OWNED_CLIENT] = {NAME_CLIENT, &kube_config_maps},
};

static struct uid uid_of(const struct observed *observed)
{
    return uid_parse(
        json_string_value(json_object_get(json_object_get(observed->object, "metadata"), "uid")));
}

bool observed_collides(const struct observed *observed, enum owned which)
{
    const struct seen *seen = observed->owned[which];
    struct uid uid = uid_of(observed);

    return seen && !uid_equal(&seen->owner, &uid);
}

/* Of an object that was right once whoever writes it is suspected: what is written under our own
 * name may show nowhere else. To apply what is so already changes nothing. */
static bool was_edited(const struct observed *observed, enum owned which)
{
    const struct seen *seen = observed->owned[which];
    uint64_t accepted = observed->accepted[which];

    if (accepted)
        return accepted != seen->version;
    return seen->foreign || seen->lacks || seen->rewritten;
}

bool observed_is_right(const struct observed *observed, enum owned which,
                       const struct digest *digest)
{
    const struct seen *seen = observed->owned[which];

    return seen && seen->labelled && digest_equal(&seen->applied, digest) &&
           !was_edited(observed, which);
}

bool observed_held(const struct observed *observed, const char *type)
{
    const json_t *condition = condition_find(json_object_get(observed->status, "conditions"), type);
    const char *status = json_string_value(json_object_get(condition, "status"));
    json_int_t generation = json_integer_value(json_object_get(condition, "observedGeneration"));

    return status && strcmp(status, "True") == 0 &&
           generation == (json_int_t)observed->gate->generation;
}

bool observed_may_keep_creds(const struct observed *observed)
{
    return observed->owned[OWNED_CREDS] && !observed_collides(observed, OWNED_CREDS) &&
           !was_edited(observed, OWNED_CREDS) && observed_held(observed, "Rendered");
}

bool observed_withholds(const struct observed *observed)
{
    return observed_collides(observed, OWNED_HOOKS);
}

bool observed_wants(const struct observed *observed, enum owned which)
{
    return observed->gate->network_managed || (which != OWNED_INTERNAL && which != OWNED_EGRESS);
}
