#include "kube/object.h"

#include <errno.h>
#include <string.h>

#include "data/json_write.h"

/* In JSON a backslash stands in strings alone, and always before what it escapes. */
void object_mend(char *text, size_t len)
{
    static const char nul[] = "\\u0000", mended[] = "\\ufffd";
    const size_t n = sizeof nul - 1;
    char *end = text + len, *at = text;

    while ((at = memchr(at, '\\', (size_t)(end - at)))) {
        if ((size_t)(end - at) >= n && memcmp(at, nul, n) == 0)
            memcpy(at, mended, n);
        if (end - at < 2)
            return;
        at += 2;
    }
}

int object_key_of(const struct node *object, struct object_key *ret, struct error *err)
{
    const struct node *metadata = node_get(object, "metadata");
    const char *ns = node_string(node_get(metadata, "namespace"));

    ret->name = node_string(node_get(metadata, "name"));
    ret->version = node_string(node_get(metadata, "resourceVersion"));
    ret->ns = ns ? ns : "";
    if (!ret->name || !ret->version)
        return error_set(err, -EBADMSG, "the API server sent an object without name or version");
    return 0;
}

/* All members but `left_out`. */
static json_t *members_but(const struct node *object, const char *left_out)
{
    json_t *copy = json_object();
    const struct node *member;

    node_each(object, member)
    {
        if (strcmp(member->key, left_out) != 0 &&
            json_object_set_new(copy, member->key, node_to_json(member)) < 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

json_t *object_to_json(const struct node *object, const struct kube_resource *resource)
{
    json_t *copy = members_but(object, "metadata");
    int r = json_object_set_new(copy, "metadata",
                                members_but(node_get(object, "metadata"), "managedFields"));

    if (r == 0 && !json_object_get(copy, "kind")) {
        r = json_object_set_new(copy, "kind", json_string(resource->kind));
        r |= json_object_set_new(copy, "apiVersion",
                                 json_sprintf("%s%s%s", resource->group,
                                              *resource->group ? "/" : "", resource->version));
    }
    if (r == 0)
        return copy;
    json_decref(copy);
    return NULL;
}

static void write_text(struct buf *to, const char *key, const char *text, const char *more)
{
    json_write_key(to, key, strlen(key));
    buf_addf(to, "\"%s%s%s\"", text, *text ? "/" : "", more);
}

static void write_metadata(struct buf *to, const struct node *metadata)
{
    const struct node *member;

    buf_addc(to, '{');
    node_each(metadata, member)
    {
        if (strcmp(member->key, "managedFields") == 0 || strcmp(member->key, "annotations") == 0)
            continue;
        json_write_key(to, member->key, member->key_len);
        node_write(to, member);
    }
    buf_addc(to, '}');
}

void object_write(struct buf *to, const struct node *object, const struct kube_resource *resource)
{
    const struct node *member;

    buf_addc(to, '{');
    if (!node_get(object, "kind")) {
        write_text(to, "apiVersion", resource->group, resource->version);
        write_text(to, "kind", "", resource->kind);
    }
    node_each(object, member)
    {
        json_write_key(to, member->key, member->key_len);
        if (strcmp(member->key, "metadata") == 0)
            write_metadata(to, member);
        else
            node_write(to, member);
    }
    buf_addc(to, '}');
}
