#include "seen.h"

#include <stdlib.h>
#include <string.h>

#include "api/gitgate.h"
#include "kube/apply.h"

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

static bool is_ours(const struct node *entry)
{
    return strcmp(text_of(entry, "manager"), KUBE_FIELD_MANAGER) == 0 &&
           strcmp(text_of(entry, "operation"), "Apply") == 0;
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

/* Whoever changes a field of ours becomes its manager; so an edit shows without its content
 * (https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management). */
static bool has_foreign_content(const struct node *metadata)
{
    const struct node *entry;

    node_each(node_get(metadata, "managedFields"), entry)
    {
        if (!is_ours(entry) && owns_content(entry))
            return true;
    }
    return false;
}

static const char *put(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *start = memcpy(*at, text, size);

    *at += size;
    return start;
}

struct seen *seen_new(const struct node *object)
{
    const struct node *metadata = node_get(object, "metadata");
    const char *uid = text_of(metadata, "uid"), *version = text_of(metadata, "resourceVersion");
    const struct node *reference = owner_of(metadata);
    const char *owner = text_of(reference, "uid");
    const char *applied = text_of(node_get(metadata, "annotations"), ANNOTATION_APPLIED);
    struct seen *seen;
    char *at;

    if (!*uid || !*version)
        return NULL;
    seen =
        malloc(sizeof *seen + strlen(uid) + strlen(version) + strlen(owner) + strlen(applied) + 4);
    if (!seen)
        return NULL;
    at = (char *)(seen + 1);
    seen->uid = put(&at, uid);
    seen->version = put(&at, version);
    seen->owner = put(&at, owner);
    seen->applied = put(&at, applied);
    seen->foreign = reference && has_foreign_content(metadata);
    seen->labelled = reference && is_labelled(metadata, reference);
    return seen;
}
