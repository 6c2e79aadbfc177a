#include "parts.h"

#include <string.h>

#include "api/names.h"

/* The gate's own needs, measured idle and in a large push, for a GitGate that says nothing: git and
 * gitleaks may use what the limit gives them, an idle gate next to nothing. */
#define CPU_REQUEST "10m"
#define MEMORY_REQUEST "32Mi"
#define MEMORY_LIMIT "1Gi"
#define ISOLATE_MEMORY_LIMIT "64Mi"

/* One second apart: what a pod waits for. A minute covers an emptyDir that the node is slow to
 * make; the probe asks for no upstream. */
#define PROBE_PERIOD_S 1
#define PROBE_TIMEOUT_S 5
#define PROBE_FAILURES 60

/* The hooks are scripts that git runs. The credentials are mounted in the gate alone, whose user is
 * not the files' owner (root): OpenSSH takes a key that all may read when another user owns it. */
#define MODE_HOOKS 0555
#define MODE_READ 0444

/* Where the ServiceAccount admission plugin mounts the pod's token. */
#define TOKEN_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

static json_t *mount_of(const char *volume, const char *path, bool read_only)
{
    json_t *mount = json_pack("{s:s, s:s}", "name", volume, "mountPath", path);

    /* The API server leaves a false one out. */
    if (read_only && json_object_set_new(mount, "readOnly", json_true()) < 0) {
        json_decref(mount);
        return NULL;
    }
    return mount;
}

json_t *parts_client_mount(void)
{
    return mount_of(VOLUME_CLIENT, GITGATE_CLIENT_DIR, true);
}

/* That plugin runs again after us and gives each container that mounts nothing at its path the
 * pod's token. An empty folder there keeps it out of ours. */
static json_t *no_token_mount(void)
{
    return mount_of(VOLUME_NO_TOKEN, TOKEN_DIR, true);
}

static json_t *security_context(int uid, const char *capability)
{
    json_t *capabilities = capability
                               ? json_pack("{s:[s], s:[s]}", "add", capability, "drop", "ALL")
                               : json_pack("{s:[s]}", "drop", "ALL");

    return json_pack("{s:i, s:i, s:b, s:b, s:b, s:o, s:{s:s}}", "runAsUser", uid, "runAsGroup", uid,
                     "runAsNonRoot", uid != 0, "readOnlyRootFilesystem", 1,
                     "allowPrivilegeEscalation", 0, "capabilities", capabilities, "seccompProfile",
                     "type", "RuntimeDefault");
}

static json_t *container(const char *name, const char *image, json_t *rest)
{
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", name, "image", image,
                            "imagePullPolicy", "IfNotPresent", "terminationMessagePath",
                            "/dev/termination-log", "terminationMessagePolicy", "File");

    if (!rest || json_object_update_new(all, rest) < 0) {
        json_decref(all);
        return NULL;
    }
    return all;
}

/* Root for one capability and one moment: it installs the packet filter that lets only the gate's
 * uid out of the pod, before anything else of the pod runs. */
static json_t *isolate_container(const char *image)
{
    return container(CONTAINER_ISOLATE, image,
                     json_pack("{s:[s, s], s:{s:{s:s, s:s}, s:{s:s}}, s:o, s:[o, o]}", "command",
                               "gitgate-gate", "isolate", "resources", "requests", "cpu",
                               CPU_REQUEST, "memory", MEMORY_REQUEST, "limits", "memory",
                               ISOLATE_MEMORY_LIMIT, "securityContext",
                               security_context(0, "NET_ADMIN"), "volumeMounts",
                               mount_of(VOLUME_HOOKS, GITGATE_CONFIG_DIR, true), no_token_mount()));
}

static json_t *env_field(const char *name, const char *field)
{
    return json_pack("{s:s, s:{s:{s:s, s:s}}}", "name", name, "valueFrom", "fieldRef", "apiVersion",
                     "v1", "fieldPath", field);
}

static json_t *gate_resources(const struct gitgate *gate)
{
    if (json_object_size(gate->resources) > 0)
        return json_incref(gate->resources);
    return json_pack("{s:{s:s, s:s}, s:{s:s}}", "requests", "cpu", CPU_REQUEST, "memory",
                     MEMORY_REQUEST, "limits", "memory", MEMORY_LIMIT);
}

static json_t *gate_mounts(void)
{
    return json_pack("[o, o, o, o, o]", mount_of(VOLUME_HOOKS, GITGATE_CONFIG_DIR, true),
                     mount_of(VOLUME_CREDS, GITGATE_CREDS_DIR, true),
                     mount_of(VOLUME_REPOS, GITGATE_REPOS_DIR, false),
                     mount_of(VOLUME_TMP, "/tmp", false), no_token_mount());
}

static json_t *startup_probe(void)
{
    return json_pack("{s:{s:[s, s]}, s:i, s:i, s:i, s:i}", "exec", "command", "gitgate-gate",
                     "probe", "periodSeconds", PROBE_PERIOD_S, "timeoutSeconds", PROBE_TIMEOUT_S,
                     "successThreshold", 1, "failureThreshold", PROBE_FAILURES);
}

/* A native sidecar: it runs before the pod's own init containers and does not keep a Job from
 * ending. */
static json_t *gate_container(const struct gitgate *gate, const char *image)
{
    return container(CONTAINER_GATE, image,
                     json_pack("{s:[s], s:s, s:[o, o, o], s:o, s:o, s:o, s:o}", "command",
                               GITGATE_CONFIG_DIR "/entrypoint", "restartPolicy", "Always", "env",
                               env_field("POD_NAME", "metadata.name"),
                               env_field("POD_NAMESPACE", "metadata.namespace"),
                               env_field("SERVICE_ACCOUNT", "spec.serviceAccountName"), "resources",
                               gate_resources(gate), "securityContext",
                               security_context(GITGATE_UID, NULL), "startupProbe", startup_probe(),
                               "volumeMounts", gate_mounts()));
}

json_t *parts_init_containers(const struct gitgate *gate, const char *image)
{
    const char *used = *gate->image ? gate->image : image;

    if (!gate->isolation_nftables)
        return json_pack("[o]", gate_container(gate, used));
    return json_pack("[o, o]", isolate_container(used), gate_container(gate, used));
}

static json_t *config_map_volume(const char *name, struct name config_map, int mode)
{
    return json_pack("{s:s, s:{s:s, s:i}}", "name", name, "configMap", "name", config_map.text,
                     "defaultMode", mode);
}

static json_t *empty_volume(const char *name, const char *size_limit)
{
    return json_pack("{s:s, s:{s:s*}}", "name", name, "emptyDir", "sizeLimit", size_limit);
}

json_t *parts_volumes(const struct gitgate *gate)
{
    struct name creds = gitgate_owned_name(gate->name, NAME_CREDS);

    return json_pack(
        "[o, {s:s, s:{s:s, s:i}}, o, o, o, o]",
        config_map_volume(VOLUME_HOOKS, gitgate_owned_name(gate->name, NAME_HOOKS), MODE_HOOKS),
        "name", VOLUME_CREDS, "secret", "secretName", creds.text, "defaultMode", MODE_READ,
        config_map_volume(VOLUME_CLIENT, gitgate_owned_name(gate->name, NAME_CLIENT), MODE_READ),
        empty_volume(VOLUME_REPOS, gate->cache_size_limit),
        empty_volume(VOLUME_TMP, gate->cache_size_limit), empty_volume(VOLUME_NO_TOKEN, NULL));
}

static bool listed(const char *const *list, const char *key)
{
    for (; *list; list++)
        if (strcmp(*list, key) == 0)
            return true;
    return false;
}

/* Both ways: an environment variable or a hook too many in the gate is as bad as one too few. */
static bool same_but(const json_t *ours, const json_t *theirs, const char *const *ignored,
                     const char **field)
{
    const json_t *sides[2][2] = {{ours, theirs}, {theirs, ours}};
    const char *key;
    json_t *value;

    for (int i = 0; i < 2; i++) {
        json_object_foreach((json_t *)sides[i][0], key, value)
        {
            if (listed(ignored, key) || json_equal(value, json_object_get(sides[i][1], key)))
                continue;
            *field = key;
            return false;
        }
    }
    return true;
}

bool parts_same_container(const json_t *ours, const json_t *theirs, const char **field)
{
    static const char *const ignored[] = {"resources", "resizePolicy", NULL};

    return same_but(ours, theirs, ignored, field);
}

bool parts_same_volume(const json_t *ours, const json_t *theirs, const char **field)
{
    static const char *const source[] = {"emptyDir", NULL};
    static const char *const size[] = {"sizeLimit", NULL};
    const json_t *empty = json_object_get(ours, "emptyDir");

    if (!empty)
        return same_but(ours, theirs, (const char *const[]){NULL}, field);
    *field = "emptyDir";
    return json_is_object(json_object_get(theirs, "emptyDir")) &&
           same_but(ours, theirs, source, field) &&
           same_but(empty, json_object_get(theirs, "emptyDir"), size, field);
}
