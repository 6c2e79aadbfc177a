#include "seen.h"

#include <string.h>
#include <time.h>

#include "api/gitgate.h"
#include "base/parse.h"
#include "kube/apply.h"

#define CREATION_SECONDS 1 /* a request in which the clock goes on to the next */

static const char *text_of(const struct node *object, const char *key)
{
    const char *text = node_string(node_get(object, key));

    return text ? text : "";
}

static const struct node *owner_of(const struct node *metadata)
{
    const struct node *reference;

    node_each(node_get(metadata, "ownerReferences"), reference)
    {
        if (node_is(node_get(reference, "controller"), NODE_TRUE) &&
            strcmp(text_of(reference, "kind"), GITGATE_KIND) == 0 &&
            strncmp(text_of(reference, "apiVersion"), GITGATE_GROUP "/", sizeof GITGATE_GROUP) == 0)
            return reference;
    }
    return NULL;
}

static bool is_labelled(const struct node *metadata, const struct node *owner)
{
    const struct node *labels = node_get(metadata, "labels");

    return strcmp(text_of(labels, GITGATE_LABEL_MANAGED_BY), GITGATE_MANAGER) == 0 &&
           strcmp(text_of(labels, GITGATE_LABEL_GATE), text_of(owner, "name")) == 0;
}

/* ---- Managed fields ----------------------------------------------------------------------- */

/* https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management: whoever
 * changes a field becomes its manager, so an edit shows without its content; who takes a field away
 * leaves no trace but that it isn't there. We are known by two entries: that of the creation, and,
 * once the object was changed, that of what we applied. */
struct managed {
    bool applied, others; /* somebody else's entry has content */
    int creation;
    const char *creation_time; /* when what was written with it last changed */
    size_t keys;               /* of data, in ours */
};

static bool is_ours(const struct node *entry, const char *operation)
{
    return strcmp(text_of(entry, "manager"), KUBE_FIELD_MANAGER) == 0 &&
           strcmp(text_of(entry, "operation"), operation) == 0;
}

static bool owns_content(const struct node *entry)
{
    const struct node *fields = node_get(entry, "fieldsV1");
    const struct node *field;

    node_each(fields, field)
    {
        if (strcmp(field->key, "f:metadata") != 0)
            return true;
    }
    return false;
}

/* See object_mend: nobody writes such fields but to hide something. */
static bool is_unreadable(const struct node *entry)
{
    return node_is(node_get(entry, "fieldsV1"), NODE_NULL);
}

static size_t keys_of(const struct node *entry)
{
    const struct node *fields = node_get(node_get(entry, "fieldsV1"), "f:data"), *field;
    size_t n = 0;

    node_each(fields, field)
    {
        n += strncmp(field->key, "f:", 2) == 0; /* "." is the map itself */
    }
    return n;
}

static struct managed managed_of(const struct node *metadata)
{
    struct managed managed = {.creation = -1};
    const struct node *entry;
    int i = 0;

    node_each(node_get(metadata, "managedFields"), entry)
    {
        if (is_unreadable(entry)) {
            managed.others = true;
        } else if (is_ours(entry, "Apply")) {
            managed.applied = true;
            managed.keys += keys_of(entry);
        } else if (is_ours(entry, "Update") && owns_content(entry)) {
            managed.creation = i;
            managed.creation_time = text_of(entry, "time");
            managed.keys += keys_of(entry);
        } else if (owns_content(entry)) {
            managed.others = true;
        }
        i++;
    }
    return managed;
}

/* ---- When it was written ------------------------------------------------------------------ */

/* Seconds since 1970; -1 of what is no time. */
static time_t seconds_of(const char *timestamp)
{
    struct tm at = {0};
    const char *end = strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ", &at);

    return end && !*end ? timegm(&at) : -1;
}

/* Under our name, not by our creation: both times are of one request then, and of one clock. */
static bool was_rewritten(const struct node *metadata, const struct managed *managed)
{
    const char *created = text_of(metadata, "creationTimestamp");

    return managed->creation >= 0 && strcmp(managed->creation_time, created) != 0 &&
           seconds_of(managed->creation_time) - seconds_of(created) > CREATION_SECONDS;
}

/* ---- What was written --------------------------------------------------------------------- */

json_t *seen_applied(const struct digest *digest, size_t keys)
{
    char hex[33];

    hex_print(digest->bytes, hex);
    return json_sprintf("%s.%zu", hex, keys);
}

/* Whether it tells of another number of keys. */
static bool tells_other_keys(const char *applied, size_t keys)
{
    const char *dot = strchr(applied, '.');
    uint64_t told;

    return dot && parse_u64(dot + 1, SIZE_MAX, &told) == 0 && told != keys;
}

/* ---- All together ------------------------------------------------------------------------- */

struct seen seen_of(const struct node *object)
{
    const struct node *metadata = node_get(object, "metadata");
    const struct node *reference = owner_of(metadata);
    const char *applied = text_of(node_get(metadata, "annotations"), ANNOTATION_APPLIED);
    struct managed managed = managed_of(metadata);
    struct seen seen = {.uid = uid_parse(text_of(metadata, "uid")),
                        .owner = uid_parse(text_of(reference, "uid")),
                        .version = version_parse(text_of(metadata, "resourceVersion")),
                        .creation = managed.creation};

    if (strcspn(applied, ".") == 32)
        hex_parse(applied, seen.applied.bytes);
    if (!reference)
        return seen;
    /* What we created with and what we applied since both count: a key that the latter no longer
     * has would stay. */
    seen.foreign = managed.others || (managed.applied && managed.creation >= 0);
    seen.lacks = !seen.foreign && tells_other_keys(applied, managed.keys);
    seen.rewritten = was_rewritten(metadata, &managed);
    seen.labelled = is_labelled(metadata, reference);
    return seen;
}
