#include "volumes.h"

#include <stdio.h>
#include <string.h>

#include "parts.h"

/* Kinds whose content is the API's, the pod's own, or what a cluster's administrator lets a storage
 * class or driver give (as in the "restricted" Pod Security Standard). All others the kubelet
 * mounts over the host's network, from a server that the pod names: a way out around the gate. Or
 * it has the host run something. What later API versions bring is refused until it is known. */
static bool is_known_kind(const char *member)
{
    static const char *const known[] = {
        "name",      "configMap", "csi",   "downwardAPI",
        "emptyDir",  "ephemeral", "image", "persistentVolumeClaim",
        "projected", "secret",
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(member, known[i]) == 0)
            return true;
    return false;
}

static void check_kind(const struct node *volume, const char *path, struct problems *problems)
{
    const struct node *member;

    node_each(volume, member)
    {
        if (!member->key || node_is(member, NODE_NULL) || is_known_kind(member->key))
            continue;
        if (strcmp(member->key, "hostPath") == 0)
            problems_add(problems, path,
                         "hostPath is refused in a gated pod: from the host's files the "
                         "credentials can be reached; use emptyDir or a PersistentVolumeClaim");
        else
            problems_add(problems, path,
                         "%.63s is refused in a gated pod: the host mounts it, over its own "
                         "network, around the gate; use a PersistentVolumeClaim",
                         member->key);
    }
}

static void check_secret(const struct node *volume, const struct secrets *secrets, const char *path,
                         struct problems *problems)
{
    const char *secret = secrets_find(secrets, volume);

    /* Our own volume is compared field by field when it is injected. */
    if (secret && !node_is_text(node_get(volume, "name"), VOLUME_CREDS))
        problems_add(problems, path,
                     "remove it: Secret \"%.253s\" holds a credential of a gate, which alone may "
                     "mount it",
                     secret);
}

void guard_volumes(const struct node *spec, const struct secrets *secrets,
                   struct problems *problems)
{
    const struct node *volume;
    size_t i = 0;

    node_each(node_get(spec, "volumes"), volume)
    {
        char path[64];

        snprintf(path, sizeof path, "spec.volumes[%zu]", i++);
        check_kind(volume, path, problems);
        check_secret(volume, secrets, path, problems);
    }
}
