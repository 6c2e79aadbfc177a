#include "serve/operation.h"

#include <string.h>

json_t *operation_new(void)
{
    return json_pack("{s:{}}", "ms");
}

void operation_add(json_t *operation, const json_t *event)
{
    const char *phase = operation_text(event, "phase"), *field;
    json_t *times = json_object_get(operation, "ms"), *value;

    json_object_foreach((json_t *)event, field, value) {
        if (strcmp(field, "ms") == 0)
            json_object_set(times, phase, value);
        else if (strcmp(field, "phase") != 0 && strcmp(field, "session") != 0)
            json_object_set(operation, field, value);
    }
}

const char *operation_text(const json_t *operation, const char *field)
{
    const char *text = json_string_value(json_object_get(operation, field));

    return text ? text : "";
}

enum operation_kind operation_kind(const json_t *operation)
{
    const char *service = operation_text(operation, "service");

    if (strcmp(service, "upload-pack") == 0)
        return OPERATION_FETCH;
    if (strcmp(service, "receive-pack") == 0)
        return OPERATION_PUSH;
    return strcmp(service, "mirror") == 0 ? OPERATION_MIRROR : OPERATION_NONE;
}

static bool reached(const json_t *operation, const char *phase)
{
    return json_object_get(json_object_get(operation, "ms"), phase);
}

/* The phases' own word is "ok" up to the last one that was reached; a push is only through when the
 * upstream was asked. */
static const char *judge(const json_t *operation, int64_t exit_code)
{
    const char *said = operation_text(operation, "result");

    if (strcmp(said, "ok") != 0)
        return *said ? said : "failed";
    if (operation_kind(operation) != OPERATION_PUSH || reached(operation, "forward"))
        return exit_code == 0 || reached(operation, "forward") ? "ok" : "failed";
    return exit_code == 0 && !reached(operation, "scan") ? "nothing" : "failed";
}

void operation_end(json_t *operation, int64_t exit_code, double total_ms)
{
    json_object_set_new(operation, "result", json_string(judge(operation, exit_code)));
    json_object_set_new(json_object_get(operation, "ms"), "total", json_real(total_ms));
}
