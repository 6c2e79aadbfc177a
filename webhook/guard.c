#include "guard.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/names.h"
#include "parts.h"

#define PATH_MAX_LEN 128

struct path {
    char text[PATH_MAX_LEN];
};

__attribute__((format(printf, 2, 3))) static struct path path_of(const struct container *container,
                                                                 const char *fmt, ...)
{
    struct path path;
    int n =
        snprintf(path.text, sizeof path.text, "spec.%s[%zu]", container->list, container->index);
    va_list args;

    va_start(args, fmt);
    vsnprintf(path.text + n, sizeof path.text - (size_t)n, fmt, args);
    va_end(args);
    return path;
}

void pod_other_containers(const struct node *pod, const struct parts *parts, container_fn *visit,
                          void *data)
{
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
    const struct node *spec = node_get(pod, "spec");

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct node *list = node_get(spec, lists[i]);
        struct container container = {.list = lists[i]};

        if (!node_is(list, NODE_ARRAY))
            continue;
        node_each(list, container.node)
        {
            container.name = node_string(node_get(container.node, "name"));
            if (!container.name)
                container.name = "";
            if (!parts_find(parts, container.list, container.name))
                visit(&container, data);
            container.index++;
        }
    }
}

#define LIST_MAX 1000

static void check_length(const char *field, size_t n, struct problems *problems)
{
    char path[64];

    if (n <= LIST_MAX)
        return;
    snprintf(path, sizeof path, "spec.%s", field);
    problems_add(problems, path, "has %zu entries; a gated pod may have %d: remove some", n,
                 LIST_MAX);
}

void guard_size(const struct node *pod, struct problems *problems)
{
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
    const struct node *spec = node_get(pod, "spec"), *alias;
    size_t aliases = 0;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        check_length(lists[i], node_count(node_get(spec, lists[i])), problems);
    node_each(node_get(spec, "hostAliases"), alias)
    {
        aliases += 1 + node_count(node_get(alias, "hostnames"));
    }
    check_length("hostAliases", aliases, problems);
}

static void check_namespaces(const struct node *spec, struct problems *problems)
{
    static const struct {
        const char *field, *why;
    } shared[] = {
        {"hostNetwork", "the host's network has no place for the gate's packet filter"},
        {"hostPID", "who sees the gate's process can read its credentials"},
        {"hostIPC", "the gate must not share memory with the host"},
        {"shareProcessNamespace", "who sees the gate's process can read its credentials"},
    };

    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        char path[64];

        if (!node_is(node_get(spec, shared[i].field), NODE_TRUE))
            continue;
        snprintf(path, sizeof path, "spec.%s", shared[i].field);
        problems_add(problems, path, "remove it: %s", shared[i].why);
    }
}

/* The gate's user, as a group too, or its group in this pod. */
static bool is_gate_id(const struct node *id, uint32_t group)
{
    return node_is_number(id, GITGATE_UID) || node_is_number(id, group);
}

static void check_id(const struct node *context, const char *field, const char *prefix,
                     uint32_t group, struct problems *problems)
{
    const struct node *id = node_get(context, field);
    char path[PATH_MAX_LEN + 32]; /* the field's name behind it */

    if (!is_gate_id(id, group))
        return;
    snprintf(path, sizeof path, "%s.%s", prefix, field);
    problems_add(problems, path, "choose another id: %.*s is the gate's own", (int)id->len,
                 id->text);
}

static void check_pod_ids(const struct node *context, uint32_t group, struct problems *problems)
{
    static const char prefix[] = "spec.securityContext";
    const struct node *id;

    check_id(context, "runAsUser", prefix, group, problems);
    check_id(context, "runAsGroup", prefix, group, problems);
    check_id(context, "fsGroup", prefix, group, problems);
    node_each(node_get(context, "supplementalGroups"), id)
    {
        if (is_gate_id(id, group))
            problems_add(problems, "spec.securityContext.supplementalGroups",
                         "remove %.*s: it is the gate's own", (int)id->len, id->text);
    }
}

/* A Secret that holds a gate's copy of credentials, another gate's too, or one that this gate's is
 * copied from. */
static bool is_gate_secret(const struct node *name, const struct gitgate *gate)
{
    if (!node_is(name, NODE_STRING))
        return false;
    if (gitgate_is_creds_name(name->text))
        return true;
    for (size_t i = 0; i < gate->n_upstreams; i++)
        if (node_is_text(name, gate->upstreams[i].secret))
            return true;
    return false;
}

/* Whether such a name stands anywhere in it: seldom, and then it is worth a closer look. */
static bool names_gate_secret(const struct node *node, const struct gitgate *gate)
{
    for (uint32_t i = 0; node && i < node->span; i++)
        if (is_gate_secret(&node[i], gate))
            return true;
    return false;
}

/* Any member called ...secret... that names such a Secret, at any depth: secret, projected sources,
 * env, envFrom, CSI and the older volume drivers, and what later API versions bring. */
static const char *search(const struct node *node, const struct gitgate *gate)
{
    const struct node *value;

    node_each(node, value)
    {
        const struct node *name = node_is(value, NODE_OBJECT) ? node_get(value, "name") : value;
        const char *found;

        if (value->key && strcasestr(value->key, "secret") && is_gate_secret(name, gate))
            return node_string(name);
        found = search(value, gate);
        if (found)
            return found;
    }
    return NULL;
}

static const char *find_gate_secret(const struct node *node, const struct gitgate *gate)
{
    return names_gate_secret(node, gate) ? search(node, gate) : NULL;
}

static void check_volumes(const struct node *spec, const struct gitgate *gate,
                          struct problems *problems)
{
    const struct node *volumes = node_get(spec, "volumes"), *volume;
    size_t i = 0;

    node_each(volumes, volume)
    {
        const char *name = node_string(node_get(volume, "name"));
        const char *secret = find_gate_secret(volume, gate);
        char path[64];

        snprintf(path, sizeof path, "spec.volumes[%zu]", i++);
        if (node_get(volume, "hostPath"))
            problems_add(problems, path,
                         "hostPath is refused in a gated pod: from the host's files the "
                         "credentials can be reached; use emptyDir or a PersistentVolumeClaim");
        /* Our own volume is compared field by field when it is injected. */
        if (secret && !(name && strcmp(name, VOLUME_CREDS) == 0))
            problems_add(
                problems, path,
                "remove it: Secret \"%.253s\" holds a credential of a gate, which alone may "
                "mount it",
                secret);
    }
}

void guard_pod(const struct node *pod, const struct gitgate *gate, uint32_t group,
               struct problems *problems)
{
    const struct node *spec = node_get(pod, "spec");

    check_namespaces(spec, problems);
    check_pod_ids(node_get(spec, "securityContext"), group, problems);
    check_volumes(spec, gate, problems);
}

/* What a container may add beside what it has by default: nothing by which it could become another
 * user, see another process, or write packets around the filter. Whatever is not known here is
 * refused. */
static bool capability_allowed(const char *name, const struct gitgate *gate)
{
    static const char *const harmless[] = {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE",     "FOWNER",     "FSETID",  "IPC_LOCK",
        "KILL",        "MKNOD", "NET_BIND_SERVICE", "SYS_CHROOT", "SYS_NICE"};
    /* Containers have these by default; they matter only where the split is by user id. */
    static const char *const identity[] = {"SETFCAP", "SETGID", "SETPCAP", "SETUID"};

    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strcasecmp(name, harmless[i]) == 0)
            return true;
    for (size_t i = 0; !gate->isolation_nftables && i < sizeof identity / sizeof *identity; i++)
        if (strcasecmp(name, identity[i]) == 0)
            return true;
    return false;
}

static void check_capabilities(const struct container *container, const struct node *context,
                               const struct gitgate *gate, struct problems *problems)
{
    const struct node *added = node_get(node_get(context, "capabilities"), "add");
    const struct node *name;
    size_t i = 0;

    node_each(added, name)
    {
        const char *text = node_string(name);

        if (!text || !capability_allowed(text, gate))
            problems_add(problems,
                         path_of(container, ".securityContext.capabilities.add[%zu]", i).text,
                         "remove %.32s: with it container \"%.63s\" could get around the gate",
                         text ? text : "it", container->name);
        i++;
    }
}

static void check_security_context(const struct container *container, const struct gitgate *gate,
                                   uint32_t group, struct problems *problems)
{
    const struct node *context = node_get(container->node, "securityContext");
    const char *proc = node_string(node_get(context, "procMount"));
    struct path prefix = path_of(container, ".securityContext");

    check_id(context, "runAsUser", prefix.text, group, problems);
    check_id(context, "runAsGroup", prefix.text, group, problems);
    check_capabilities(container, context, gate, problems);
    if (node_is(node_get(context, "privileged"), NODE_TRUE))
        problems_add(problems, path_of(container, ".securityContext.privileged").text,
                     "remove it: a privileged container can get around the gate");
    if (gate->isolation_nftables &&
        node_is(node_get(context, "allowPrivilegeEscalation"), NODE_TRUE))
        problems_add(problems, path_of(container, ".securityContext.allowPrivilegeEscalation").text,
                     "set it to false: by a setuid file container \"%.63s\" could become the "
                     "gate's user",
                     container->name);
    if (proc && strcmp(proc, "Default") != 0)
        problems_add(problems, path_of(container, ".securityContext.procMount").text,
                     "remove it: a gated pod keeps the default /proc");
}

/* A volume of ours that is none of theirs; the client's configuration is everybody's. */
static bool is_gate_volume(const char *name)
{
    return name && strncmp(name, PARTS_PREFIX "-", sizeof PARTS_PREFIX) == 0 &&
           strcmp(name, VOLUME_CLIENT) != 0;
}

static void check_mount_list(const struct container *container, const char *list,
                             struct problems *problems)
{
    const struct node *mounts = node_get(container->node, list), *mount;
    size_t i = 0;

    node_each(mounts, mount)
    {
        const char *volume = node_string(node_get(mount, "name"));

        if (is_gate_volume(volume))
            problems_add(problems, path_of(container, ".%s[%zu]", list, i).text,
                         "remove it: volume \"%.63s\" is the gate's own", volume);
        i++;
    }
}

static void check_mounts(const struct container *container, struct problems *problems)
{
    check_mount_list(container, "volumeMounts", problems);
    check_mount_list(container, "volumeDevices", problems);
}

/* The kubelet reads such a variable from a file in an emptyDir of the pod, mounted or not
 * (KEP-3721). */
static void check_env_files(const struct container *container, struct problems *problems)
{
    const struct node *variables = node_get(container->node, "env"), *variable;
    size_t i = 0;

    node_each(variables, variable)
    {
        const struct node *file = node_get(node_get(variable, "valueFrom"), "fileKeyRef");
        const char *volume = node_string(node_get(file, "volumeName"));

        if (is_gate_volume(volume))
            problems_add(problems, path_of(container, ".env[%zu]", i).text,
                         "remove it: volume \"%.63s\" is the gate's own", volume);
        i++;
    }
}

static void check_target(const struct container *container, struct problems *problems)
{
    const char *target = node_string(node_get(container->node, "targetContainerName"));

    if (target && (strcmp(target, CONTAINER_GATE) == 0 || strcmp(target, CONTAINER_ISOLATE) == 0))
        problems_add(problems, path_of(container, ".targetContainerName").text,
                     "choose another container: who sees the gate's process can read its "
                     "credentials");
}

static void check_name(const struct container *container, struct problems *problems)
{
    if (strcmp(container->name, CONTAINER_GATE) == 0 ||
        strcmp(container->name, CONTAINER_ISOLATE) == 0)
        problems_add(problems, path_of(container, ".name").text,
                     "choose another name: \"%s\" is the gate's own", container->name);
}

void guard_container(const struct container *container, const struct gitgate *gate, uint32_t group,
                     struct problems *problems)
{
    const char *secret = find_gate_secret(container->node, gate);

    check_name(container, problems);
    check_security_context(container, gate, group, problems);
    check_mounts(container, problems);
    check_env_files(container, problems);
    check_target(container, problems);
    if (secret)
        problems_add(problems, path_of(container, "%s", "").text,
                     "container \"%.63s\" reads Secret \"%.253s\", which holds a credential of a "
                     "gate: remove it from env and envFrom",
                     container->name, secret);
}
