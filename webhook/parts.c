#include "parts.h"

#include <inttypes.h>
#include <string.h>

#include "api/names.h"
#include "base/buf.h"

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

/* Stands where the pod's group comes. It is the last thing in its part, so whatever else a GitGate
 * makes the text say comes before. */
#define GROUP_MARK 4294967295
#define TEXT_OF(x) #x
#define DECIMAL(x) TEXT_OF(x)

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

static json_t *client_mount(void)
{
    return mount_of(VOLUME_CLIENT, GITGATE_CLIENT_DIR, true);
}

/* That plugin runs again after us and gives each container that mounts nothing at its path the
 * pod's token. An empty folder there keeps it out of ours. */
static json_t *no_token_mount(void)
{
    return mount_of(VOLUME_NO_TOKEN, TOKEN_DIR, true);
}

static json_t *security_context(json_int_t uid, json_int_t gid, const char *capability)
{
    json_t *capabilities = capability
                               ? json_pack("{s:[s], s:[s]}", "add", capability, "drop", "ALL")
                               : json_pack("{s:[s]}", "drop", "ALL");

    return json_pack("{s:I, s:b, s:b, s:b, s:o, s:{s:s}, s:I}", "runAsUser", uid, "runAsNonRoot",
                     uid != 0, "readOnlyRootFilesystem", 1, "allowPrivilegeEscalation", 0,
                     "capabilities", capabilities, "seccompProfile", "type", "RuntimeDefault",
                     "runAsGroup", gid);
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

/* Those of the GitGate, else with this limit. Both containers take the same: a quota may ask each
 * for a limit of its own, and a pod asks for no more by it, as they don't work at the same time. */
static json_t *resources_of(const struct gitgate *gate, const char *memory_limit)
{
    if (json_object_size(gate->resources) > 0)
        return json_incref(gate->resources);
    return json_pack("{s:{s:s, s:s}, s:{s:s}}", "requests", "cpu", CPU_REQUEST, "memory",
                     MEMORY_REQUEST, "limits", "memory", memory_limit);
}

/* Root for one capability and one moment: it installs the packet filter that lets only the gate out
 * of the pod, before anything else of the pod runs. */
static json_t *isolate_container(const struct gitgate *gate, const char *image)
{
    return container(CONTAINER_ISOLATE, image,
                     json_pack("{s:o, s:o, s:[o, o], s:[s, s, s, s]}", "resources",
                               resources_of(gate, ISOLATE_MEMORY_LIMIT), "securityContext",
                               security_context(0, 0, "NET_ADMIN"), "volumeMounts",
                               mount_of(VOLUME_HOOKS, GITGATE_CONFIG_DIR, true), no_token_mount(),
                               "command", "gitgate-gate", "isolate", "--group",
                               DECIMAL(GROUP_MARK)));
}

static json_t *env_field(const char *name, const char *field)
{
    return json_pack("{s:s, s:{s:{s:s, s:s}}}", "name", name, "valueFrom", "fieldRef", "apiVersion",
                     "v1", "fieldPath", field);
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

/* A native sidecar runs before the pod's own init containers and does not keep a Job from ending.
 * As an ordinary container it does neither: the others start when its postStart hook has ended. */
static json_t *life_of(bool plain_container)
{
    if (!plain_container)
        return json_pack("{s:s}", "restartPolicy", "Always");
    return json_pack("{s:{s:{s:{s:[s, s, s]}}}}", "lifecycle", "postStart", "exec", "command",
                     "gitgate-gate", "probe", "--wait");
}

static json_t *gate_container(const struct gitgate *gate, const char *image, bool plain_container)
{
    json_t *rest = json_pack(
        "{s:[s], s:[o, o, o], s:o, s:o, s:o}", "command", GITGATE_CONFIG_DIR "/entrypoint", "env",
        env_field("POD_NAME", "metadata.name"), env_field("POD_NAMESPACE", "metadata.namespace"),
        env_field("SERVICE_ACCOUNT", "spec.serviceAccountName"), "resources",
        resources_of(gate, MEMORY_LIMIT), "startupProbe", startup_probe(), "volumeMounts",
        gate_mounts());

    if (json_object_update_new(rest, life_of(plain_container)) < 0 ||
        json_object_set_new(rest, "securityContext",
                            security_context(GITGATE_UID, GROUP_MARK, NULL)) < 0) {
        json_decref(rest);
        rest = NULL;
    }
    return container(CONTAINER_GATE, image, rest);
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

/* ---- Made once ----------------------------------------------------------------------------- */

static int fill(struct part *part, json_t *object)
{
    json_auto_t *owned = object;
    const char *name = json_string_value(json_object_get(owned, "name"));

    part->text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
    part->name = name ? strdup(name) : NULL;
    return part->text && part->name ? 0 : -1;
}

static int fill_whole(struct part *part, json_t *object)
{
    if (fill(part, object) < 0)
        return -1;
    part->body = strdup(part->text);
    return part->body ? document_parse(part->body, strlen(part->body), &part->document, NULL) : -1;
}

static char *last_mark(char *text)
{
    char *found = NULL;

    for (char *p = text; (p = strstr(p, DECIMAL(GROUP_MARK))); p++)
        found = p;
    return found;
}

static int fill_with_hole(struct part *part, json_t *object)
{
    static const size_t len = sizeof DECIMAL(GROUP_MARK) - 1;
    char *mark;

    if (fill(part, object) < 0)
        return -1;
    mark = last_mark(part->text);
    memmove(mark, mark + len, strlen(mark + len) + 1);
    part->hole = (size_t)(mark - part->text);
    return 0;
}

static int add(struct part_list *list, int (*fill_part)(struct part *, json_t *), json_t *object)
{
    if (list->n == PARTS_LIST_MAX) {
        json_decref(object);
        return -1;
    }
    return fill_part(&list->parts[list->n++], object);
}

static int add_containers(struct parts *parts, const struct gitgate *gate,
                          const struct parts_options *options)
{
    const char *image = *gate->image ? gate->image : options->image;
    bool plain = options->plain_container;

    if (gate->isolation_nftables &&
        add(&parts->init_containers, fill_with_hole, isolate_container(gate, image)) < 0)
        return -1;
    return add(plain ? &parts->containers : &parts->init_containers, fill_with_hole,
               gate_container(gate, image, plain));
}

static json_t *creds_volume(const struct gitgate *gate)
{
    struct name creds = gitgate_owned_name(gate->name, NAME_CREDS);

    return json_pack("{s:s, s:{s:s, s:i}}", "name", VOLUME_CREDS, "secret", "secretName",
                     creds.text, "defaultMode", MODE_READ);
}

static int add_volumes(struct part_list *list, const struct gitgate *gate)
{
    json_t *const volumes[] = {
        config_map_volume(VOLUME_HOOKS, gitgate_owned_name(gate->name, NAME_HOOKS), MODE_HOOKS),
        creds_volume(gate),
        config_map_volume(VOLUME_CLIENT, gitgate_owned_name(gate->name, NAME_CLIENT), MODE_READ),
        empty_volume(VOLUME_REPOS, gate->cache_size_limit),
        empty_volume(VOLUME_TMP, gate->cache_size_limit),
        empty_volume(VOLUME_NO_TOKEN, NULL),
    };
    int r = 0;

    for (size_t i = 0; i < sizeof volumes / sizeof *volumes; i++)
        if (add(list, fill_whole, volumes[i]) < 0)
            r = -1;
    return r;
}

struct parts *parts_new(const struct gitgate *gate, const struct parts_options *options)
{
    struct parts *parts = calloc(1, sizeof *parts);

    if (!parts)
        return NULL;
    parts->init_containers.list = "initContainers";
    parts->containers.list = "containers";
    parts->volumes.list = "volumes";
    parts->hosts = hosts_new(gate);
    parts->secrets = secrets_new(gate);
    if (parts->hosts && parts->secrets && add_containers(parts, gate, options) == 0 &&
        add_volumes(&parts->volumes, gate) == 0 &&
        fill_whole(&parts->client_mount, client_mount()) == 0)
        return parts;
    parts_free(parts);
    return NULL;
}

static void done(struct part *part)
{
    document_done(&part->document);
    free(part->body);
    free(part->text);
    free(part->name);
}

static void done_list(struct part_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        done(&list->parts[i]);
}

void parts_free(struct parts *parts)
{
    if (!parts)
        return;
    done_list(&parts->init_containers);
    done_list(&parts->containers);
    done_list(&parts->volumes);
    done(&parts->client_mount);
    secrets_free(parts->secrets);
    hosts_free(parts->hosts);
    free(parts);
}

const struct part *parts_find(const struct parts *parts, const char *list, const char *name)
{
    const struct part_list *lists[] = {&parts->init_containers, &parts->containers};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (size_t j = 0; strcmp(lists[i]->list, list) == 0 && j < lists[i]->n; j++)
            if (strcmp(lists[i]->parts[j].name, name) == 0)
                return &lists[i]->parts[j];
    return NULL;
}

void part_write(const struct part *part, uint32_t group, struct buf *to)
{
    buf_add(to, part->text, part->hole);
    if (part->hole)
        buf_addf(to, "%" PRIu32, group);
    buf_adds(to, part->text + part->hole);
}

void part_list_write(const struct part_list *list, uint32_t group, struct buf *to)
{
    for (size_t i = 0; i < list->n; i++) {
        buf_addc(to, i ? ',' : '[');
        part_write(&list->parts[i], group, to);
    }
    buf_addc(to, ']');
}

/* ---- Compared with what came back ---------------------------------------------------------- */

static bool listed(const char *const *list, const char *key)
{
    for (; *list; list++)
        if (strcmp(*list, key) == 0)
            return true;
    return false;
}

/* Both ways: an environment variable or a hook too many in the gate is as bad as one too few. */
static bool same_but(const struct node *ours, const struct node *theirs, const char *const *ignored,
                     const char **field)
{
    const struct node *sides[2][2] = {{ours, theirs}, {theirs, ours}}, *value;

    for (int i = 0; i < 2; i++) {
        node_each(sides[i][0], value)
        {
            if (!value->key || listed(ignored, value->key) ||
                node_equal(value, node_get(sides[i][1], value->key)))
                continue;
            *field = value->key;
            return false;
        }
    }
    return true;
}

/* What a LimitRange may fill in. */
static bool is_common_resource(const char *name)
{
    static const char *const common[] = {"cpu", "memory", "ephemeral-storage", NULL};

    return listed(common, name);
}

static bool same_kinds(const struct node *ours, const struct node *theirs)
{
    const struct node *quantity;

    node_each(theirs, quantity)
    {
        if (quantity->key && !is_common_resource(quantity->key) && !node_get(ours, quantity->key))
            return false;
    }
    return true;
}

/* Quantities may be others. Not so what is counted: with a device or a claim come a driver's files
 * and variables. */
static bool same_resources(const struct node *ours, const struct node *theirs)
{
    static const char *const quantities[] = {"requests", "limits", NULL};
    const char *field;

    for (size_t i = 0; quantities[i]; i++)
        if (!same_kinds(node_get(ours, quantities[i]), node_get(theirs, quantities[i])))
            return false;
    return same_but(ours, theirs, quantities, &field);
}

/* Plugins of the API server go over the pod once more after the webhooks: AlwaysPullImages has each
 * image pulled anew, which is what a container of ours may have too. */
bool parts_same_container(const struct node *ours, const struct node *theirs, const char **field)
{
    static const char *const ignored[] = {"resources", "resizePolicy", NULL};
    static const char *const anew[] = {"resources", "resizePolicy", "imagePullPolicy", NULL};
    bool always = node_is_text(node_get(theirs, "imagePullPolicy"), "Always");

    if (!same_resources(node_get(ours, "resources"), node_get(theirs, "resources"))) {
        *field = "resources";
        return false;
    }
    return same_but(ours, theirs, always ? anew : ignored, field);
}

bool parts_same_volume(const struct node *ours, const struct node *theirs, const char **field)
{
    static const char *const source[] = {"emptyDir", NULL};
    static const char *const size[] = {"sizeLimit", NULL};
    const struct node *empty = node_get(ours, "emptyDir");

    if (!empty)
        return same_but(ours, theirs, (const char *const[]){NULL}, field);
    *field = "emptyDir";
    return node_is(node_get(theirs, "emptyDir"), NODE_OBJECT) &&
           same_but(ours, theirs, source, field) &&
           same_but(empty, node_get(theirs, "emptyDir"), size, field);
}
