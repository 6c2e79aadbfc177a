#include "guard.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "parts.h"
#include "volumes.h"

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
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers",
                                        "imagePullSecrets"};
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

/* The kubelet's safe ones (https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/) and
 * what else is about memory shared in the pod, or lengths of queues. Others could have the kernel
 * send on what the pod's packet filter did not see an agent send. */
static bool sysctl_allowed(const char *name)
{
    static const char *const harmless[] = {
        "fs.mqueue.*",
        "kernel.msg*",
        "kernel.sem",
        "kernel.shm*",
        "net.core.*",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_*",
    };

    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        size_t len = strcspn(harmless[i], "*");

        if (harmless[i][len] ? strncmp(name, harmless[i], len) == 0
                             : strcmp(name, harmless[i]) == 0)
            return true;
    }
    return false;
}

static void check_sysctls(const struct node *context, struct problems *problems)
{
    const struct node *sysctl;
    size_t i = 0;

    node_each(node_get(context, "sysctls"), sysctl)
    {
        const char *name = node_string(node_get(sysctl, "name"));
        char path[64];

        snprintf(path, sizeof path, "spec.securityContext.sysctls[%zu]", i++);
        if (!name || !sysctl_allowed(name))
            problems_add(problems, path,
                         "remove %.253s: with it packets could leave the pod around the gate",
                         name ? name : "it");
    }
}

/* The packet filter lets agents ask the name servers of the pod's /etc/resolv.conf. */
static void check_name_servers(const struct node *spec, const struct gitgate *gate,
                               struct problems *problems)
{
    if (gate->isolation_nftables && gate->agent_dns &&
        node_count(node_get(node_get(spec, "dnsConfig"), "nameservers")) > 0)
        problems_add(problems, "spec.dnsConfig.nameservers",
                     "remove it: agents would reach any server that it names; agentEgress.dns is "
                     "for the cluster's own, for others the GitGate has agentEgress.to");
}

void guard_pod(const struct node *pod, const struct gitgate *gate, const struct secrets *secrets,
               uint32_t group, struct problems *problems)
{
    const struct node *spec = node_get(pod, "spec");

    check_namespaces(spec, problems);
    check_pod_ids(node_get(spec, "securityContext"), group, problems);
    check_sysctls(node_get(spec, "securityContext"), problems);
    check_name_servers(spec, gate, problems);
    guard_volumes(spec, secrets, problems);
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

/* RestartAllContainers (KEP-5532): the split would be made once more, from a file that agents can
 * write (/etc/resolv.conf). */
static void check_restarts(const struct container *container, struct problems *problems)
{
    const struct node *rule;
    size_t i = 0;

    node_each(node_get(container->node, "restartPolicyRules"), rule)
    {
        if (!node_is_text(node_get(rule, "action"), "Restart"))
            problems_add(problems, path_of(container, ".restartPolicyRules[%zu]", i).text,
                         "remove it: container \"%.63s\" would have the gate's containers start "
                         "again in a pod in which it ran before",
                         container->name);
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

void guard_container(const struct container *container, const struct gitgate *gate,
                     const struct secrets *secrets, uint32_t group, struct problems *problems)
{
    const char *secret = secrets_find(secrets, container->node);

    check_name(container, problems);
    check_security_context(container, gate, group, problems);
    check_mounts(container, problems);
    check_env_files(container, problems);
    check_restarts(container, problems);
    check_target(container, problems);
    if (secret)
        problems_add(problems, path_of(container, "%s", "").text,
                     "container \"%.63s\" reads Secret \"%.253s\", which holds a credential of a "
                     "gate: remove it from env and envFrom",
                     container->name, secret);
}
