#include "patch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void append(struct pointer *pointer, const char *text, size_t len)
{
    size_t used = strlen(pointer->text);

    if (used + len >= sizeof pointer->text) {
        pointer->err = -ENAMETOOLONG;
        return;
    }
    memcpy(pointer->text + used, text, len);
    pointer->text[used + len] = '\0';
}

struct pointer pointer_to(const char *text)
{
    struct pointer pointer = {0};

    append(&pointer, text, strlen(text));
    return pointer;
}

struct pointer pointer_member(const struct pointer *base, const char *key)
{
    struct pointer pointer = *base;

    append(&pointer, "/", 1);
    for (const char *c = key; *c; c++) {
        if (*c == '~')
            append(&pointer, "~0", 2);
        else if (*c == '/')
            append(&pointer, "~1", 2);
        else
            append(&pointer, c, 1);
    }
    return pointer;
}

struct pointer pointer_index(const struct pointer *base, size_t index)
{
    char text[32];

    snprintf(text, sizeof text, "%zu", index);
    return pointer_member(base, text);
}

struct pointer pointer_end(const struct pointer *base)
{
    return pointer_member(base, "-");
}

void patch_init(struct patch *patch)
{
    patch->ops = json_array();
    patch->err = patch->ops ? 0 : -ENOMEM;
}

void patch_done(struct patch *patch)
{
    json_decref(patch->ops);
    patch->ops = NULL;
}

json_t *patch_take(struct patch *patch)
{
    return TAKE_PTR(patch->ops);
}

static void add_operation(struct patch *patch, json_t *operation, int err)
{
    if (!patch->err)
        patch->err = err;
    if (json_array_append_new(patch->ops, operation) < 0 && !patch->err)
        patch->err = -ENOMEM;
}

void patch_add(struct patch *patch, struct pointer path, json_t *value)
{
    add_operation(patch,
                  json_pack("{s:s, s:s, s:o}", "op", "add", "path", path.text, "value", value),
                  path.err);
}

void patch_replace(struct patch *patch, struct pointer path, json_t *value)
{
    add_operation(patch,
                  json_pack("{s:s, s:s, s:o}", "op", "replace", "path", path.text, "value", value),
                  path.err);
}

void patch_move(struct patch *patch, struct pointer from, struct pointer path)
{
    add_operation(patch,
                  json_pack("{s:s, s:s, s:s}", "op", "move", "from", from.text, "path", path.text),
                  from.err ? from.err : path.err);
}
