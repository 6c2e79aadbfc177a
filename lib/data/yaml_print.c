#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "data/yaml.h"
#include "data/yaml_scalar.h"

#define NUMBER_MAX 32

static int append(void *to, unsigned char *bytes, size_t len)
{
    buf_add(to, bytes, len);
    return buf_error(to) == 0;
}

/* Takes the event in any case. */
static int emit(yaml_emitter_t *emitter, yaml_event_t *event, int initialized)
{
    return initialized && yaml_emitter_emit(emitter, event) ? 0 : -ENOMEM;
}

static int print_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t event;

    return emit(emitter, &event,
                yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                             (int)strlen(text), 1, 1, style));
}

static int print_string(yaml_emitter_t *emitter, const char *text)
{
    yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;

    if (strchr(text, '\n'))
        style = YAML_LITERAL_SCALAR_STYLE;
    else if (yaml_plain_is_safe(text))
        style = YAML_PLAIN_SCALAR_STYLE;
    return print_scalar(emitter, text, style);
}

/* The fewest digits that are read as the same number. */
static void write_real(double value, char to[NUMBER_MAX])
{
    for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(to, NUMBER_MAX, "%.*g", digits, value);
        if (strtod(to, NULL) == value)
            break;
    }
    if (!strpbrk(to, ".e"))
        strcat(to, ".0");
}

static int print_value(yaml_emitter_t *emitter, const json_t *value, int depth);

static int print_object(yaml_emitter_t *emitter, const json_t *object, int depth)
{
    yaml_mapping_style_t style =
        json_object_size(object) ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE;
    yaml_event_t event;
    const char *key;
    json_t *value;
    int r =
        emit(emitter, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style));

    json_object_foreach((json_t *)object, key, value) {
        if (r == 0)
            r = print_string(emitter, key);
        if (r == 0)
            r = print_value(emitter, value, depth + 1);
    }
    return r < 0 ? r : emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static int print_array(yaml_emitter_t *emitter, const json_t *array, int depth)
{
    yaml_sequence_style_t style =
        json_array_size(array) ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE;
    yaml_event_t event;
    json_t *value;
    size_t i;
    int r =
        emit(emitter, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style));

    json_array_foreach(array, i, value) {
        if (r == 0)
            r = print_value(emitter, value, depth + 1);
    }
    return r < 0 ? r : emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static int print_value(yaml_emitter_t *emitter, const json_t *value, int depth)
{
    char number[NUMBER_MAX];

    if (depth > YAML_DEPTH_MAX)
        return -E2BIG;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return print_object(emitter, value, depth);
    case JSON_ARRAY:
        return print_array(emitter, value, depth);
    case JSON_STRING:
        return print_string(emitter, json_string_value(value));
    case JSON_INTEGER:
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return print_scalar(emitter, number, YAML_PLAIN_SCALAR_STYLE);
    case JSON_REAL:
        write_real(json_real_value(value), number);
        return print_scalar(emitter, number, YAML_PLAIN_SCALAR_STYLE);
    case JSON_TRUE:
        return print_scalar(emitter, "true", YAML_PLAIN_SCALAR_STYLE);
    case JSON_FALSE:
        return print_scalar(emitter, "false", YAML_PLAIN_SCALAR_STYLE);
    default:
        return print_scalar(emitter, "null", YAML_PLAIN_SCALAR_STYLE);
    }
}

static int print_stream(yaml_emitter_t *emitter, const json_t *value)
{
    yaml_event_t event;
    int r = emit(emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));

    if (r == 0)
        r = emit(emitter, &event,
                 yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    if (r == 0)
        r = print_value(emitter, value, 0);
    if (r == 0)
        r = emit(emitter, &event, yaml_document_end_event_initialize(&event, 1));
    return r < 0 ? r : emit(emitter, &event, yaml_stream_end_event_initialize(&event));
}

int yaml_print(const json_t *value, struct buf *to, struct error *err)
{
    yaml_emitter_t emitter;
    int r;

    if (!yaml_emitter_initialize(&emitter))
        return error_errno(err, -ENOMEM, "cannot print YAML");
    yaml_emitter_set_output(&emitter, append, to);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1); /* no folding of long lines */
    r = print_stream(&emitter, value);
    yaml_emitter_delete(&emitter);
    if (buf_error(to))
        r = buf_error(to);
    return r < 0 ? error_errno(err, r, "cannot print YAML") : 0;
}
