#include "render/object.h"

static json_t *owner_reference(const struct gitgate *gate)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "apiVersion", GITGATE_API_VERSION, "kind",
                     GITGATE_KIND, "name", gate->name, "uid", gate->uid, "controller", 1,
                     "blockOwnerDeletion", 1);
}

json_t *object_new(const struct gitgate *gate, const char *api_version, const char *kind,
                   enum owned_name which)
{
    struct name name = gitgate_owned_name(gate->name, which);
    json_auto_t *owner = *gate->uid ? owner_reference(gate) : NULL;

    /* "*" leaves a field out where its value is NULL. */
    if (*gate->uid && !owner)
        return NULL;
    return json_pack("{s:s, s:s, s:{s:s, s:s*, s:{s:s, s:s}, s:o*}}", "apiVersion", api_version,
                     "kind", kind, "metadata", "name", name.text, "namespace",
                     *gate->namespace_ ? gate->namespace_ : NULL, "labels",
                     GITGATE_LABEL_MANAGED_BY, GITGATE_MANAGER, GITGATE_LABEL_GATE, gate->name,
                     "ownerReferences", owner ? json_pack("[O]", owner) : NULL);
}

json_t *object_with(json_t *object, const char *field, json_t *content)
{
    if (object && content && json_object_set_new(object, field, content) == 0)
        return object;
    if (!object)
        json_decref(content);
    json_decref(object);
    return NULL;
}
