#include "patch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/json_text.h"

/* ---- Pointers ------------------------------------------------------------------------------ */

static void append(struct pointer *pointer, const char *text, size_t len)
{
    if (pointer->len + len >= sizeof pointer->text) {
        pointer->err = -ENAMETOOLONG;
        return;
    }
    memcpy(pointer->text + pointer->len, text, len);
    pointer->len += len;
    pointer->text[pointer->len] = '\0';
}

struct pointer pointer_to(const char *text)
{
    struct pointer pointer;

    pointer.len = 0;
    pointer.err = 0;
    pointer.text[0] = '\0';
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

/* Behind the values of an array that is made. */
#define MADE_END "]}"

/* ---- Operations ---------------------------------------------------------------------------- */

void patch_done(struct patch *patch)
{
    buf_done(&patch->ops);
}

int patch_error(const struct patch *patch)
{
    return patch->err ? patch->err : buf_error(&patch->ops);
}

void patch_close(struct patch *patch)
{
    if (patch->n > 0)
        buf_addc(&patch->ops, ']');
}

static void begin(struct patch *patch, const char *operation, const struct pointer *path)
{
    if (!patch->err)
        patch->err = path->err;
    if (patch->n++ == 0)
        patch->first = *path;
    buf_adds(&patch->ops, patch->n == 1 ? "[{\"op\":\"" : ",{\"op\":\"");
    buf_adds(&patch->ops, operation);
    buf_adds(&patch->ops, "\",\"path\":");
    json_text_write(&patch->ops, path->text, path->len);
}

static void set(struct patch *patch, const char *operation, const struct pointer *path,
                const char *before, const char *value, const char *after)
{
    if (!value) {
        patch->err = -ENOMEM;
        return;
    }
    begin(patch, operation, path);
    buf_adds(&patch->ops, before);
    buf_adds(&patch->ops, value);
    buf_adds(&patch->ops, after);
}

void patch_add(struct patch *patch, struct pointer path, const char *value)
{
    set(patch, "add", &path, ",\"value\":", value, "}");
}

void patch_add_string(struct patch *patch, struct pointer path, const char *text)
{
    begin(patch, "add", &path);
    buf_adds(&patch->ops, ",\"value\":");
    json_text_write(&patch->ops, text, strlen(text));
    buf_addc(&patch->ops, '}');
}

void patch_replace(struct patch *patch, struct pointer path, const char *value)
{
    set(patch, "replace", &path, ",\"value\":", value, "}");
}

void patch_move(struct patch *patch, struct pointer from, struct pointer path)
{
    if (!patch->err)
        patch->err = from.err;
    begin(patch, "move", &path);
    buf_adds(&patch->ops, ",\"from\":");
    json_text_write(&patch->ops, from.text, from.len);
    buf_addc(&patch->ops, '}');
}

static bool just_made(const struct patch *patch, const struct pointer *path)
{
    return patch->made_end > 0 && patch->made_end == patch->ops.len && !patch_error(patch) &&
           strcmp(patch->made.text, path->text) == 0;
}

static void put_into_made(struct patch *patch, const char *value)
{
    patch->ops.len -= sizeof MADE_END - 1;
    buf_addc(&patch->ops, ',');
    buf_adds(&patch->ops, value);
    buf_adds(&patch->ops, MADE_END);
    patch->made_end = patch->ops.len;
}

void patch_append(struct patch *patch, const struct pointer *path, bool *exists, const char *value)
{
    struct pointer end = pointer_end(path);

    if (*exists && value && just_made(patch, path)) {
        put_into_made(patch, value);
    } else if (*exists) {
        set(patch, "add", &end, ",\"value\":", value, "}");
    } else {
        set(patch, "add", path, ",\"value\":[", value, MADE_END);
        patch->made = *path;
        patch->made_end = patch->ops.len;
    }
    *exists = true;
}
