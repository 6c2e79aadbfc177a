#include "data/json_patch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define POINTER_ROOM 64 /* "/18446744073709551615/name" and more */

/* A value's place: the array or object that it is in, and where. */
struct place {
    json_t *parent;              /* borrowed */
    char key[JSON_POINTER_MAX];  /* an object's member */
    size_t index;                /* an array's element, or one behind the last */
    char path[JSON_POINTER_MAX]; /* the pointer, "-" resolved */
};

static int not_possible(struct error *err, const char *op, const char *path, const char *why)
{
    return error_set(err, -EINVAL, "%.16s at \"%.256s\": %s", op, path, why);
}

static int no_memory(struct error *err)
{
    return error_errno(err, -ENOMEM, "cannot patch");
}

/* ---- Places -------------------------------------------------------------------------------- */

/* RFC 6901, section 4: ~1 is '/', ~0 is '~'; another '~' is an error. */
static bool unescape(char *token)
{
    char *to = token;

    for (const char *from = token; *from; from++) {
        if (*from != '~') {
            *to++ = *from;
            continue;
        }
        from++;
        if (*from != '0' && *from != '1')
            return false;
        *to++ = *from == '0' ? '~' : '/';
    }
    *to = '\0';
    return true;
}

/* Digits without a leading zero (section 4); "-" is the place behind the last. */
static bool parse_index(const json_t *array, const char *token, size_t *ret)
{
    size_t size = json_array_size(array);
    uint64_t index = size;

    if (strcmp(token, "-") != 0 &&
        ((token[0] == '0' && token[1]) || parse_u64(token, size, &index) < 0))
        return false;
    *ret = (size_t)index;
    return true;
}

static json_t *value_at(const struct place *place)
{
    return json_is_array(place->parent) ? json_array_get(place->parent, place->index)
                                        : json_object_get(place->parent, place->key);
}

/* One token further. */
static bool enter(struct place *place, json_t *parent, const char *token)
{
    size_t len = strlen(place->path);

    place->parent = parent;
    if (json_is_array(parent)) {
        if (!parse_index(parent, token, &place->index))
            return false;
        snprintf(place->path + len, sizeof place->path - len, "/%zu", place->index);
        return true;
    }
    snprintf(place->path + len, sizeof place->path - len, "/%s", token);
    strcpy(place->key, token);
    return json_is_object(parent) && unescape(place->key);
}

/* The last token need not name anything yet. */
static bool find(json_t *document, const char *pointer, struct place *ret)
{
    char copy[JSON_POINTER_MAX], *rest = copy, *token;

    /* An index that is resolved, and the tests of undo_tests, make it longer. */
    if (pointer[0] != '/' || strlen(pointer) > sizeof copy - POINTER_ROOM)
        return false;
    strcpy(copy, pointer + 1);
    ret->path[0] = '\0';
    for (json_t *value = document; (token = strsep(&rest, "/")); value = value_at(ret))
        if (!value || !enter(ret, value, token))
            return false;
    return true;
}

/* ---- What takes an operation back ---------------------------------------------------------- */

static int undo_first(json_t *undo, json_t *operation)
{
    return json_array_insert_new(undo, 0, operation);
}

static int undo_test(json_t *undo, const char *path, json_t *value)
{
    return undo_first(undo, json_pack("{s:s, s:s, s:o}", "op", "test", "path", path, "value",
                                      json_deep_copy(value)));
}

/* What the value at `path` is known by: its name, if it has one, else all of it; of a list each of
 * its elements. */
static int undo_tests(json_t *undo, const char *path, json_t *value)
{
    json_t *name = json_object_get(value, "name"), *element;
    char below[JSON_POINTER_MAX + 32];
    size_t i;

    if (json_is_string(name)) {
        snprintf(below, sizeof below, "%.*s/name", JSON_POINTER_MAX, path);
        return undo_test(undo, below, name);
    }
    if (json_array_size(value) == 0)
        return undo_test(undo, path, value);
    json_array_foreach(value, i, element) {
        snprintf(below, sizeof below, "%.*s/%zu", JSON_POINTER_MAX, path, i);
        if (!json_is_string(json_object_get(element, "name")))
            return undo_test(undo, path, value);
        if (undo_tests(undo, below, element) < 0)
            return -1;
    }
    return 0;
}

static bool has_named_elements_alone(const json_t *list)
{
    const json_t *element;
    size_t i;

    json_array_foreach(list, i, element)
        if (!json_is_string(json_object_get(element, "name")))
            return false;
    return json_array_size(list) > 0;
}

/* One element after the other goes, and then an empty list, so that what somebody has put beside
 * them does not go with it. */
static int undo_elements(json_t *undo, const char *path, json_t *list)
{
    char below[JSON_POINTER_MAX + 32];
    json_t *element;
    size_t i;

    if (undo_first(undo, json_pack("{s:s, s:s, s:[]}", "op", "test", "path", path, "value")) < 0)
        return -1;
    json_array_foreach(list, i, element) {
        snprintf(below, sizeof below, "%.*s/%zu", JSON_POINTER_MAX, path, i);
        if (undo_first(undo, json_pack("{s:s, s:s}", "op", "remove", "path", below)) < 0 ||
            undo_tests(undo, below, element) < 0)
            return -1;
    }
    return 0;
}

/* `value` was put at `path`, over `old` or where there was nothing. */
static int undo_put(json_t *undo, const char *path, json_t *value, json_t *old)
{
    json_t *back;

    if (!undo)
        return 0;
    back = old ? json_pack("{s:s, s:s, s:O}", "op", "replace", "path", path, "value", old)
               : json_pack("{s:s, s:s}", "op", "remove", "path", path);
    if (undo_first(undo, back) < 0)
        return -1;
    return has_named_elements_alone(value) ? undo_elements(undo, path, value)
                                           : undo_tests(undo, path, value);
}

static int undo_take(json_t *undo, const char *path, json_t *value)
{
    if (!undo)
        return 0;
    return undo_first(undo, json_pack("{s:s, s:s, s:o}", "op", "add", "path", path, "value",
                                      json_deep_copy(value)));
}

/* `value` was moved, over `old` or where there was nothing. */
static int undo_move(json_t *undo, const char *from, const char *to, json_t *value, json_t *old)
{
    json_t *back;

    if (!undo)
        return 0;
    if (old)
        return undo_take(undo, from, value) < 0 ? -1 : undo_put(undo, to, value, old);
    back = json_pack("{s:s, s:s, s:s}", "op", "move", "path", from, "from", to);
    return undo_first(undo, back) < 0 ? -1 : undo_tests(undo, to, value);
}

/* ---- Operations ---------------------------------------------------------------------------- */

struct operation {
    const char *op, *path, *from;
    json_t *value; /* borrowed; NULL: there is none */
};

static int insert(const struct place *at, json_t *value)
{
    return json_is_array(at->parent) ? json_array_insert(at->parent, at->index, value)
                                     : json_object_set(at->parent, at->key, value);
}

static int set(const struct place *at, json_t *value)
{
    return json_is_array(at->parent) ? json_array_set(at->parent, at->index, value)
                                     : json_object_set(at->parent, at->key, value);
}

static void take(const struct place *at)
{
    if (json_is_array(at->parent))
        json_array_remove(at->parent, at->index);
    else
        json_object_del(at->parent, at->key);
}

/* A copy, so that no later operation changes the patch, nor the document what `undo` keeps. */
static int put(const struct place *at, const struct operation *o, bool over, json_t *undo)
{
    json_auto_t *old = over || json_is_object(at->parent) ? json_incref(value_at(at)) : NULL;
    json_auto_t *value = json_deep_copy(o->value);

    if (!value || undo_put(undo, at->path, o->value, old) < 0)
        return -ENOMEM;
    return (over ? set(at, value) : insert(at, value)) < 0 ? -ENOMEM : 0;
}

static int apply_remove(const struct place *at, json_t *undo)
{
    if (undo_take(undo, at->path, value_at(at)) < 0)
        return -ENOMEM;
    take(at);
    return 0;
}

static int apply_move(json_t *document, const struct operation *o, json_t *undo, struct error *err)
{
    struct place from, to;
    json_auto_t *value = NULL, *old = NULL;

    if (!find(document, o->from, &from) || !value_at(&from))
        return not_possible(err, o->op, o->from, "there is nothing");
    value = json_incref(value_at(&from));
    take(&from);
    if (!find(document, o->path, &to))
        return not_possible(err, o->op, o->path, "there is no such place");
    if (json_is_object(to.parent))
        old = json_incref(value_at(&to));
    if (undo_move(undo, from.path, to.path, value, old) < 0)
        return no_memory(err);
    return insert(&to, value) < 0 ? no_memory(err) : 0;
}

static int apply_at(const struct place *at, const struct operation *o, json_t *undo,
                    struct error *err)
{
    json_t *present = value_at(at);
    int r = 0;

    if (strcmp(o->op, "add") == 0)
        r = put(at, o, false, undo);
    else if (!present)
        return not_possible(err, o->op, o->path, "there is nothing");
    else if (strcmp(o->op, "replace") == 0)
        r = put(at, o, true, undo);
    else if (strcmp(o->op, "remove") == 0)
        r = apply_remove(at, undo);
    else if (strcmp(o->op, "test") != 0)
        return not_possible(err, o->op, o->path, "this operation is not known");
    else if (!json_equal(present, o->value))
        return not_possible(err, o->op, o->path, "there is something else");
    return r < 0 ? no_memory(err) : 0;
}

static const char *text_of(const json_t *operation, const char *key)
{
    const char *text = json_string_value(json_object_get(operation, key));

    return text ? text : "";
}

static int apply(json_t *document, const json_t *operation, json_t *undo, struct error *err)
{
    struct operation o = {text_of(operation, "op"), text_of(operation, "path"),
                          text_of(operation, "from"), json_object_get(operation, "value")};
    struct place at;

    if (strcmp(o.op, "move") == 0)
        return apply_move(document, &o, undo, err);
    if (!o.value && strcmp(o.op, "remove") != 0)
        return not_possible(err, o.op, o.path, "it has no value");
    if (!find(document, o.path, &at))
        return not_possible(err, o.op, o.path, "there is no such place");
    return apply_at(&at, &o, undo, err);
}

int json_patch_apply(json_t *document, const json_t *patch, json_t *undo, struct error *err)
{
    const json_t *operation;
    size_t i;

    if (!json_is_array(patch))
        return error_set(err, -EINVAL, "a JSON Patch is a list of operations");
    json_array_foreach(patch, i, operation) {
        int r = apply(document, operation, undo, err);

        if (r < 0)
            return r;
    }
    return 0;
}
