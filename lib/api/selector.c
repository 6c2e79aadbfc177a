#include "api/selector.h"

#include <string.h>

static bool contains(const json_t *values, const char *text)
{
    const json_t *value;
    size_t i;

    json_array_foreach(values, i, value) {
        if (json_is_string(value) && strcmp(json_string_value(value), text) == 0)
            return true;
    }
    return false;
}

/* NotIn and DoesNotExist also hold for a label that is not there. */
static bool requirement_holds(const json_t *requirement, label_fn label_of, const void *labels)
{
    const char *key = json_string_value(json_object_get(requirement, "key"));
    const char *verb = json_string_value(json_object_get(requirement, "operator"));
    const json_t *values = json_object_get(requirement, "values");
    const char *label = key ? label_of(labels, key) : NULL;

    if (!key || !verb)
        return false;
    if (strcmp(verb, "In") == 0)
        return label && contains(values, label);
    if (strcmp(verb, "NotIn") == 0)
        return !label || !contains(values, label);
    if (strcmp(verb, "Exists") == 0)
        return label;
    if (strcmp(verb, "DoesNotExist") == 0)
        return !label;
    return false;
}

static bool is_text(const char *text, const json_t *value)
{
    return text && json_is_string(value) && strcmp(text, json_string_value(value)) == 0;
}

bool selector_selects(const json_t *selector, label_fn label_of, const void *labels)
{
    const char *key;
    json_t *value;
    size_t i;

    if (!json_is_object(selector))
        return false;
    json_object_foreach(json_object_get(selector, "matchLabels"), key, value) {
        if (!is_text(label_of(labels, key), value))
            return false;
    }
    json_array_foreach(json_object_get(selector, "matchExpressions"), i, value) {
        if (!requirement_holds(value, label_of, labels))
            return false;
    }
    return true;
}
