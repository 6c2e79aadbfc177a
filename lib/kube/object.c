#include "kube/object.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "data/json_text.h"
#include "data/json_write.h"

/* ---- Mending ------------------------------------------------------------------------------- */

#define FIELDS "\"fieldsV1\":" /* within a string its quotes would be escaped */
#define FIELDS_DEPTH_MAX 64    /* a pod's are 12 deep; what lies around them is 6 */
#define PIECE 64

/* In JSON a backslash stands in strings alone, and always before what it escapes. */
static char *next_escape(char *at, const char *end)
{
    return memchr(at, '\\', (size_t)(end - at));
}

static bool is_escape(const char *at, const char *end, const char *begins)
{
    size_t n = strlen(begins);

    return (size_t)(end - at) >= n && strncasecmp(at, begins, n) == 0;
}

/* A NUL or a surrogate: the API server writes neither but as it got them. */
static bool has_odd_escape(struct json_span fields)
{
    const char *end = fields.at + fields.len;
    char *at = fields.at;

    while ((at = next_escape(at, end)) && end - at > 1) {
        if (is_escape(at, end, "\\u0000") || is_escape(at, end, "\\ud"))
            return true;
        at += 2;
    }
    return false;
}

/* Of at most 255 bytes. */
static size_t count(const char *at, size_t len, char c)
{
    unsigned char n = 0;

    for (size_t i = 0; i < len; i++)
        n += at[i] == c;
    return n;
}

/* In at[0..len), which begins at `depth`. */
static size_t deepest_in(const char *at, size_t len, size_t depth)
{
    size_t deepest = depth;

    for (size_t i = 0; i < len; i++) {
        depth += at[i] == '{';
        depth -= at[i] == '}' && depth > 0;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

/* Brackets in names count too: there are few. By pieces, of which nearly none has so many that it
 * must be looked at closely. */
static bool is_deep(struct json_span fields)
{
    size_t depth = 0, n;

    for (size_t at = 0; at < fields.len; at += n) {
        const char *piece = fields.at + at;
        size_t opened, closed;

        n = fields.len - at < PIECE ? fields.len - at : PIECE;
        opened = count(piece, n, '{');
        closed = count(piece, n, '}');
        if (depth + opened > FIELDS_DEPTH_MAX && deepest_in(piece, n, depth) > FIELDS_DEPTH_MAX)
            return true;
        depth = depth + opened > closed ? depth + opened - closed : 0;
    }
    return false;
}

static bool can_be_read(struct json_span fields)
{
    return json_text_is_utf8(fields.at, fields.len) && !has_odd_escape(fields) && !is_deep(fields);
}

static void close_unreadable_fields(char *text, size_t len)
{
    const char *end = text + len;
    struct json_span fields = {.at = text, .len = len};
    char *at = text;

    if (can_be_read(fields)) /* as nearly all: then so can what is in it */
        return;
    while ((at = memmem(at, (size_t)(end - at), FIELDS, sizeof FIELDS - 1))) {
        at += sizeof FIELDS - 1;
        fields = json_span_of(at, (size_t)(end - at));
        if (!fields.at)
            return;
        at = fields.at + fields.len;
        if (fields.len < 4 || can_be_read(fields))
            continue;
        memset(fields.at, ' ', fields.len);
        memcpy(fields.at, "null", 4);
    }
}

static void replace_nul(char *text, size_t len)
{
    static const char nul[] = "\\u0000", mended[] = "\\ufffd";
    const size_t n = sizeof nul - 1;
    char *end = text + len, *at = text;

    while ((at = next_escape(at, end))) {
        if ((size_t)(end - at) >= n && memcmp(at, nul, n) == 0)
            memcpy(at, mended, n);
        if (end - at < 2)
            return;
        at += 2;
    }
}

void object_mend(char *text, size_t len)
{
    close_unreadable_fields(text, len);
    replace_nul(text, len);
}

/* ---- Trees --------------------------------------------------------------------------------- */

/* What of metadata says which object it is, and which of it. The rest (labels, annotations, owners,
 * managedFields) has no bound but the object's. */
static bool is_identity(const char *key)
{
    static const char *const keys[] = {"name",       "namespace",         "uid", "resourceVersion",
                                       "generation", "deletionTimestamp", NULL};
    const char *const *known = keys;

    while (*known && strcmp(*known, key) != 0)
        known++;
    return *known;
}

static bool is_no_metadata(const char *key)
{
    return strcmp(key, "metadata") != 0;
}

static bool is_no_managed_fields(const char *key)
{
    return strcmp(key, "managedFields") != 0;
}

static json_t *members_of(const struct node *object, bool (*is_wanted)(const char *key))
{
    json_t *copy = json_object();
    const struct node *member;

    node_each(object, member)
    {
        if (is_wanted(member->key) &&
            json_object_set_new(copy, member->key, node_to_json(member)) < 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

static json_t *tree_of(const struct node *object, bool (*is_wanted_of_metadata)(const char *key))
{
    const struct node *metadata = node_get(object, "metadata");
    json_t *copy = members_of(object, is_no_metadata);

    if (!metadata ||
        json_object_set_new(copy, "metadata", members_of(metadata, is_wanted_of_metadata)) == 0)
        return copy;
    json_decref(copy);
    return NULL;
}

/* ---- Reading ------------------------------------------------------------------------------- */

int object_parse(char *text, size_t len, struct document *ret, struct error *err)
{
    struct error why = ERROR_INIT;
    int r;

    object_mend(text, len);
    r = document_parse(text, len, ret, &why);
    if (r == -ENOMEM)
        return error_set(err, r, "memory is short");
    if (r < 0)
        return error_set(err, -EBADMSG, "%s", why.msg);
    if (node_is(document_root(ret), NODE_OBJECT))
        return 0;
    document_done(ret);
    return error_set(err, -EBADMSG, "is not a JSON object");
}

int object_read(char *text, size_t len, json_t **ret, struct error *err)
{
    cleanup_document struct document document = DOCUMENT_INIT;
    int r = object_parse(text, len, &document, err);

    if (r < 0)
        return r;
    *ret = tree_of(document_root(&document), is_no_managed_fields);
    return *ret ? 0 : error_set(err, -ENOMEM, "memory is short");
}

/* ---- What an object is ---------------------------------------------------------------------- */

#define KNOWN_SIZE 256 /* a name has 253 characters at most */
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

void object_write_known(struct buf *to, struct json_span object)
{
    static const char *const keys[] = {"name", "resourceVersion", "namespace", "uid"};
    struct json_span metadata = json_span_get(object, "metadata");
    char texts[sizeof keys / sizeof *keys][KNOWN_SIZE] = {""};
    bool begun = false;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_span_text(json_span_get(metadata, keys[i]), texts[i], sizeof texts[i]))
            texts[i][0] = '\0';
    if (!*texts[0] || !*texts[1])
        return;
    buf_adds(to, "{\"metadata\":{");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++, begun = true)
        if (*texts[i])
            buf_addf(to, "%s\"%s\":\"%s\"", begun ? "," : "", keys[i], texts[i]);
    buf_adds(to, "}}");
}

json_t *object_to_json(const struct node *object, const struct kube_resource *resource)
{
    json_t *copy = tree_of(object, is_identity);
    int r = copy ? 0 : -ENOMEM;

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
        if (!is_identity(member->key))
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
