#include "data/decode.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "data/meant.h"

#define PATH_MAX_BYTES 1024

struct decoder {
    bool strict;
    struct problems *problems;
    int err; /* -ENOMEM, once it happened */
};

/* Where we are, as a chain on the stack: printed only when something is wrong. */
struct place {
    const struct place *parent;
    const char *key; /* a field, or a map's key */
    size_t index;    /* of an array's item, when key is NULL */
    bool map_key;
};

static void print_place(const struct place *place, struct buf *to)
{
    if (!place)
        return;
    print_place(place->parent, to);
    if (!place->key)
        buf_addf(to, "[%zu]", place->index);
    else if (place->map_key)
        buf_addf(to, "[%s]", place->key);
    else
        buf_addf(to, "%s%s", to->len ? "." : "", place->key);
}

__attribute__((format(printf, 3, 4))) static void
complain(struct decoder *d, const struct place *place, const char *fmt, ...)
{
    cleanup_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
    cleanup_free char *message = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        message = NULL;
    va_end(ap);
    if (!message) {
        d->err = -ENOMEM;
        return;
    }
    print_place(place, &path);
    problems_add(d->problems, path.data, "%s", message);
}

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

static bool expect(struct decoder *d, const struct place *place, const json_t *value, bool holds,
                   const char *what)
{
    if (!holds)
        complain(d, place, "must be %s, not %s", what, kind_of(value));
    return holds;
}

/* `to` is NULL where items are checked alone. */
static void store(void *to, size_t offset, const void *value, size_t size)
{
    if (to && offset != FIELD_NOWHERE)
        memcpy((char *)to + offset, value, size);
}

static bool stores(const void *to, const struct field *field)
{
    return to && field->offset != FIELD_NOWHERE;
}

/* ---- strings ---- */

static bool has_forbidden(const char *text, size_t len, unsigned flags)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c == 0x7f || (c == '\'' && !(flags & FIELD_QUOTES)))
            return true;
    }
    return false;
}

static bool check_string(struct decoder *d, const struct place *place, const struct field *field,
                         const json_t *value)
{
    struct error err = ERROR_INIT;
    size_t len, max = FIELD_STRING_MAX;

    if (!expect(d, place, value, json_is_string(value), "a string"))
        return false;
    if (field->flags & FIELD_FILE)
        max = FIELD_FILE_MAX;
    else if (field->type == FIELD_STRING && field->max)
        max = field->max;
    len = json_string_length(value);
    if (len == 0 && !(field->flags & FIELD_MAY_BE_EMPTY)) {
        complain(d, place, "must not be empty");
        return false;
    }
    if (len > max) {
        complain(d, place, "is longer than %zu bytes", max);
        return false;
    }
    if (!(field->flags & FIELD_FILE) &&
        has_forbidden(json_string_value(value), len, field->flags)) {
        complain(d, place, "holds a control character%s, which is never allowed here",
                 field->flags & FIELD_QUOTES ? "" : " or a single quote");
        return false;
    }
    if (len > 0 && field->check && field->check(json_string_value(value), &err) < 0) {
        complain(d, place, "%s", err.msg);
        return false;
    }
    return true;
}

static void decode_string(struct decoder *d, const struct place *place, const struct field *field,
                          json_t *value, void *to)
{
    const char *text = json_string_value(value);

    if (check_string(d, place, field, value))
        store(to, field->offset, &text, sizeof text);
}

static size_t items_max(const struct field *field)
{
    return field->max ? field->max : FIELD_ITEMS_MAX;
}

static bool check_count(struct decoder *d, const struct place *place, const struct field *field,
                        size_t n, const char *what)
{
    if (n > items_max(field))
        complain(d, place, "has %zu %s; at most %zu are allowed", n, what, items_max(field));
    else if (n < field->min)
        complain(d, place, "has %zu %s; at least %zu is needed", n, what, (size_t)field->min);
    return n <= items_max(field) && n >= field->min;
}

static void decode_strings(struct decoder *d, const struct place *place, const struct field *field,
                           json_t *value, void *to)
{
    const char **list;
    size_t i, n = 0;
    json_t *item;

    if (!expect(d, place, value, json_is_array(value), "a list of strings") ||
        !check_count(d, place, field, json_array_size(value), "items"))
        return;
    list = calloc(json_array_size(value) + 1, sizeof *list);
    if (!list) {
        d->err = -ENOMEM;
        return;
    }
    json_array_foreach(value, i, item) {
        struct place here = {.parent = place, .index = i};

        if (check_string(d, &here, field, item))
            list[n++] = json_string_value(item);
    }
    if (stores(to, field))
        store(to, field->offset, &list, sizeof list);
    else
        free(list);
}

static void decode_map(struct decoder *d, const struct place *place, const struct field *field,
                       json_t *value, void *to)
{
    const char *key;
    json_t *item;

    if (!expect(d, place, value, json_is_object(value), "an object with strings as values") ||
        !check_count(d, place, field, json_object_size(value), "entries"))
        return;
    json_object_foreach(value, key, item) {
        struct place here = {.parent = place, .key = key, .map_key = true};
        struct error err = ERROR_INIT;

        if (field->check_key && field->check_key(key, &err) < 0)
            complain(d, &here, "%s", err.msg);
        check_string(d, &here, field, item);
    }
    store(to, field->offset, &value, sizeof value);
}

/* ---- words and numbers ---- */

static void complain_choices(struct decoder *d, const struct place *place,
                             const struct field *field)
{
    cleanup_buf struct buf list = BUF_INIT(PATH_MAX_BYTES);

    for (size_t i = 0; field->choices[i]; i++)
        buf_addf(&list, "%s%s",
                 i == 0                  ? ""
                 : field->choices[i + 1] ? ", "
                                         : " or ",
                 field->choices[i]);
    complain(d, place, "must be %s", list.data);
}

static void decode_choice(struct decoder *d, const struct place *place, const struct field *field,
                          json_t *value, void *to)
{
    const char *text = json_string_value(value);
    int i = 0;

    if (!expect(d, place, value, text != NULL, "a string"))
        return;
    while (field->choices[i] && strcmp(field->choices[i], text) != 0)
        i++;
    if (!field->choices[i]) {
        complain_choices(d, place, field);
    } else if (field->type == FIELD_SWITCH) {
        bool on = i == 1;
        store(to, field->offset, &on, sizeof on);
    } else {
        store(to, field->offset, &i, sizeof i);
    }
}

static void decode_bool(struct decoder *d, const struct place *place, const struct field *field,
                        json_t *value, void *to)
{
    bool on = json_is_true(value);

    if (expect(d, place, value, json_is_boolean(value), "true or false"))
        store(to, field->offset, &on, sizeof on);
}

static void store_number(struct decoder *d, const struct place *place, const struct field *field,
                         uint64_t number, const char *unit, void *to)
{
    if (number < field->min || number > (field->max ? field->max : UINT64_MAX))
        complain(d, place, "must lie between %llu and %llu%s", (unsigned long long)field->min,
                 (unsigned long long)field->max, unit);
    else
        store(to, field->offset, &number, sizeof number);
}

static void decode_integer(struct decoder *d, const struct place *place, const struct field *field,
                           json_t *value, void *to)
{
    if (!expect(d, place, value, json_is_integer(value), "a whole number"))
        return;
    if (json_integer_value(value) < 0)
        complain(d, place, "must not be negative");
    else
        store_number(d, place, field, (uint64_t)json_integer_value(value), "", to);
}

static void decode_bytes(struct decoder *d, const struct place *place, const struct field *field,
                         json_t *value, void *to)
{
    const char *text = json_string_value(value);
    uint64_t bytes;

    if (!expect(d, place, value, text != NULL, "a quantity (\"512Mi\")"))
        return;
    if (parse_bytes(text, &bytes) < 0)
        complain(d, place,
                 "must be a quantity of bytes: digits with Ki, Mi, Gi, Ti, k, M, G or T "
                 "behind them (\"512Mi\")");
    else if (field->type == FIELD_QUANTITY)
        store(to, field->offset, &text, sizeof text);
    else
        store_number(d, place, field, bytes, " bytes", to);
}

static void decode_duration(struct decoder *d, const struct place *place, const struct field *field,
                            json_t *value, void *to)
{
    const char *text = json_string_value(value);
    uint64_t ms;

    if (!expect(d, place, value, text != NULL, "a duration (\"120s\")"))
        return;
    if (parse_duration_ms(text, &ms) < 0)
        complain(d, place, "must be a duration in whole h, m, s or ms (\"120s\", \"1h30m\")");
    else
        store_number(d, place, field, ms, " ms", to);
}

/* ---- objects and arrays ---- */

static void decode_fields(struct decoder *d, const struct place *place, const struct field *fields,
                          bool open, json_t *object, void *to);

static void decode_nested(struct decoder *d, const struct place *place, const struct field *field,
                          json_t *value, void *to)
{
    if (!expect(d, place, value, json_is_object(value), "an object"))
        return;
    store(to, field->offset, &value, sizeof value);
    if (field->fields)
        decode_fields(d, place, field->fields, field->flags & FIELD_OPEN, value, to);
}

static void decode_array(struct decoder *d, const struct place *place, const struct field *field,
                         json_t *value, void *to)
{
    size_t i, n = json_array_size(value);
    char *items = NULL;
    json_t *item;

    if (!expect(d, place, value, json_is_array(value), "a list") ||
        !check_count(d, place, field, n, "items"))
        return;
    if (!field->item_size) {
        store(to, field->offset, &value, sizeof value);
    } else if (n > 0 && stores(to, field)) {
        items = calloc(n, field->item_size);
        if (!items) {
            d->err = -ENOMEM;
            return;
        }
        store(to, field->offset, &items, sizeof items);
        store(to, field->count_offset, &n, sizeof n);
    }
    json_array_foreach(value, i, item) {
        struct place here = {.parent = place, .index = i};

        if (expect(d, &here, item, json_is_object(item), "an object"))
            decode_fields(d, &here, field->fields, field->flags & FIELD_OPEN, item,
                          items ? items + i * field->item_size : NULL);
    }
}

static void decode_value(struct decoder *d, const struct place *place, const struct field *field,
                         json_t *value, void *to)
{
    switch (field->type) {
    case FIELD_NONE:
        break;
    case FIELD_STRING:
        decode_string(d, place, field, value, to);
        break;
    case FIELD_BOOL:
        decode_bool(d, place, field, value, to);
        break;
    case FIELD_CHOICE:
    case FIELD_SWITCH:
        decode_choice(d, place, field, value, to);
        break;
    case FIELD_INTEGER:
        decode_integer(d, place, field, value, to);
        break;
    case FIELD_BYTES:
    case FIELD_QUANTITY:
        decode_bytes(d, place, field, value, to);
        break;
    case FIELD_DURATION:
        decode_duration(d, place, field, value, to);
        break;
    case FIELD_STRINGS:
        decode_strings(d, place, field, value, to);
        break;
    case FIELD_MAP:
        decode_map(d, place, field, value, to);
        break;
    case FIELD_OBJECT:
        decode_nested(d, place, field, value, to);
        break;
    case FIELD_ARRAY:
        decode_array(d, place, field, value, to);
        break;
    }
}

/* The field's value; missing and null are the same, as for the API server. A default is written
 * into the object, and so is the text of a quantity that was given as a number. */
static json_t *value_of(struct decoder *d, const struct field *field, json_t *object)
{
    json_t *value = json_object_get(object, field->name);

    if (json_is_null(value)) {
        json_object_del(object, field->name);
        value = NULL;
    }
    if (!value && field->value) {
        value = json_loads(field->value, JSON_DECODE_ANY, NULL);
        if (!value || json_object_set_new(object, field->name, value) < 0) {
            d->err = -ENOMEM;
            return NULL;
        }
    }
    if ((field->type == FIELD_BYTES || field->type == FIELD_QUANTITY) && json_is_integer(value)) {
        value = json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
        if (!value || json_object_set_new(object, field->name, value) < 0) {
            d->err = -ENOMEM;
            return NULL;
        }
    }
    return value;
}

/* ---- unknown fields ---- */

static bool is_known(const char *name, const struct field *fields)
{
    for (const struct field *f = fields; f->type != FIELD_NONE; f++)
        if (strcmp(f->name, name) == 0)
            return true;
    return false;
}

static void find_unknown(struct decoder *d, const struct place *place, const struct field *fields,
                         json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) {
        struct place here = {.parent = place, .key = key};
        const char *near;

        if (is_known(key, fields))
            continue;
        near = field_meant(key, fields);
        if (near)
            complain(d, &here, "unknown field; did you mean \"%s\"?", near);
        else
            complain(d, &here, "unknown field");
    }
}

static void decode_fields(struct decoder *d, const struct place *place, const struct field *fields,
                          bool open, json_t *object, void *to)
{
    for (const struct field *f = fields; f->type != FIELD_NONE; f++) {
        struct place here = {.parent = place, .key = f->name};
        json_t *value = value_of(d, f, object);

        if (value)
            decode_value(d, &here, f, value, to);
        else if (f->flags & FIELD_REQUIRED)
            complain(d, &here, "is required");
    }
    if (d->strict && !open)
        find_unknown(d, place, fields, object);
}

int decode_object(json_t *object, const struct field *fields, bool strict, void *to,
                  struct problems *problems)
{
    struct decoder d = {.strict = strict, .problems = problems};
    size_t before = problems->total;

    if (expect(&d, NULL, object, json_is_object(object), "an object"))
        decode_fields(&d, NULL, fields, false, object, to);
    if (d.err)
        return d.err;
    return problems->total > before ? -EINVAL : 0;
}
