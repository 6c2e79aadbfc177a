#include "kept.h"

#include <stdlib.h>
#include <string.h>

#include "kube/object.h"

void *kept_gate_new(const struct node *object)
{
    json_auto_t *whole = object_to_json(object, &kube_gitgates);
    const char *version =
        json_string_value(json_object_get(json_object_get(whole, "metadata"), "resourceVersion"));
    size_t size = version ? strlen(version) + 1 : 0;
    struct kept_gate *kept = version ? malloc(sizeof *kept + size) : NULL;

    if (!kept)
        return NULL;
    memcpy(kept->version, version, size);
    kept->selector = json_incref(json_object_get(json_object_get(whole, "spec"), "podSelector"));
    kept->text = json_dumps(whole, JSON_COMPACT);
    if (kept->text)
        return kept;
    kept_gate_free(kept);
    return NULL;
}

void kept_gate_free(void *value)
{
    struct kept_gate *kept = value;

    json_decref(kept->selector);
    free(kept->text);
    free(kept);
}

json_t *kept_gate_object(const struct kept_gate *kept)
{
    return json_loads(kept->text, 0, NULL);
}
