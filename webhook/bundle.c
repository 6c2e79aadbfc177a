#include "bundle.h"

#include <string.h>

static int add(json_t *patch, const char *operation, size_t index, const char *field, json_t *value)
{
    json_t *path = json_sprintf("/webhooks/%zu/%s", index, field);

    return json_array_append_new(
        patch, json_pack("{s:s, s:o, s:o}", "op", operation, "path", path, "value", value));
}

json_t *bundle_patch(const json_t *configuration, const char *ca_bundle)
{
    json_auto_t *patch = json_array();
    const json_t *webhook;
    size_t i;

    json_array_foreach(json_object_get(configuration, "webhooks"), i, webhook) {
        const json_t *client = json_object_get(webhook, "clientConfig");
        const char *present = json_string_value(json_object_get(client, "caBundle"));

        if (present && strcmp(present, ca_bundle) == 0)
            continue;
        if (add(patch, "test", i, "name", json_incref(json_object_get(webhook, "name"))) < 0 ||
            add(patch, "add", i, "clientConfig/caBundle", json_string(ca_bundle)) < 0)
            return NULL;
    }
    return json_incref(patch);
}
