#include "agent.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

/* More pairs than anybody has, ours included; git itself takes any number. */
#define GIT_CONFIG_COUNT_MAX 1000
#define BAD_COUNT                                                                                  \
    "GIT_CONFIG_COUNT is not a plain number below 1000, so gitgate can't add to it: write the "    \
    "number itself"

/* The split lets the gate's user out. With these a process could become that user, make a file that
 * does, or write packets that have no user. Containers get the first five by default. */
static const char *const dropped[] = {"SETUID",  "SETGID",  "SETPCAP",
                                      "SETFCAP", "NET_RAW", "NET_ADMIN"};
#define ALL_DROPPED "[\"SETUID\",\"SETGID\",\"SETPCAP\",\"SETFCAP\",\"NET_RAW\",\"NET_ADMIN\"]"

struct agent {
    const struct container *container;
    const struct parts *parts;
    struct pointer at; /* /spec/<list>/<index> */
    struct patch *patch;
    struct problems *problems;
};

static void add_problem(const struct agent *agent, const char *field, const char *message)
{
    char path[96];

    snprintf(path, sizeof path, "spec.%s[%zu].%s", agent->container->list, agent->container->index,
             field);
    problems_add(agent->problems, path, "%s", message);
}

/* The member's array, made by the first value when it isn't there. */
static void append(const struct agent *agent, const char *member, bool *exists, const char *value)
{
    struct pointer at = pointer_member(&agent->at, member);

    patch_append(agent->patch, &at, exists, value);
}

/* ---- The git configuration ----------------------------------------------------------------- */

#define PREFIX "GIT_CONFIG_"

/* What the pod's variables tell git, the last of each name, as in the container. Found in one pass,
 * however many there are: who makes a pod must not keep the webhook from all others. */
struct git_config {
    const struct node *count; /* GIT_CONFIG_COUNT, or NULL */
    size_t count_at;          /* where it is in the list */
    const char *keys[GIT_CONFIG_COUNT_MAX], *values[GIT_CONFIG_COUNT_MAX]; /* by number; or NULL */
};

/* git writes the number without zeros before it. */
static void note_pair(const char *number, const struct node *entry, const char **list)
{
    uint64_t i;

    if ((number[0] != '0' || !number[1]) && parse_u64(number, GIT_CONFIG_COUNT_MAX - 1, &i) == 0)
        list[i] = node_string(node_get(entry, "value"));
}

static void read_git_config(const struct node *env, struct git_config *ret)
{
    const struct node *entry;
    size_t at = 0;

    *ret = (struct git_config){0};
    node_each(env, entry)
    {
        const char *name = node_string(node_get(entry, "name"));

        if (name && strncmp(name, PREFIX, sizeof PREFIX - 1) == 0) {
            name += sizeof PREFIX - 1;
            if (strcmp(name, "COUNT") == 0) {
                ret->count = entry;
                ret->count_at = at;
            } else if (strncmp(name, "KEY_", 4) == 0) {
                note_pair(name + 4, entry, ret->keys);
            } else if (strncmp(name, "VALUE_", 6) == 0) {
                note_pair(name + 6, entry, ret->values);
            }
        }
        at++;
    }
}

static bool includes_ours(const struct git_config *config, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (config->keys[i] && strcmp(config->keys[i], "include.path") == 0 && config->values[i] &&
            strcmp(config->values[i], CLIENT_GITCONFIG) == 0)
            return true;
    return false;
}

static void add_env(const struct agent *agent, const char *prefix, uint64_t n, const char *value,
                    bool *exists)
{
    char entry[256];

    snprintf(entry, sizeof entry, "{\"name\":\"%s%llu\",\"value\":\"%s\"}", prefix,
             (unsigned long long)n, value);
    append(agent, "env", exists, entry);
}

/* Sets GIT_CONFIG_COUNT to `n`, in place when it is there. */
static void set_count(const struct agent *agent, const struct node *present, size_t index,
                      uint64_t n, bool *exists)
{
    struct pointer env = pointer_member(&agent->at, "env"), entry = pointer_index(&env, index);
    char text[96];

    snprintf(text, sizeof text,
             present ? "\"%llu\"" : "{\"name\":\"GIT_CONFIG_COUNT\",\"value\":\"%llu\"}",
             (unsigned long long)n);
    if (present)
        patch_add(agent->patch, pointer_member(&entry, "value"), text);
    else
        append(agent, "env", exists, text);
}

/* git reads GIT_CONFIG_KEY_<n> and _VALUE_<n> for n below GIT_CONFIG_COUNT (git-config(1)): ours
 * comes behind the pod's own pairs. */
static void add_git_config(const struct agent *agent)
{
    const struct node *env = node_get(agent->container->node, "env");
    bool exists = node_is(env, NODE_ARRAY);
    struct git_config config;
    const struct node *present;
    const char *text;
    uint64_t count = 0;

    read_git_config(env, &config);
    present = config.count;
    text = node_string(node_get(present, "value"));
    if (present && text && *text && parse_u64(text, GIT_CONFIG_COUNT_MAX, &count) < 0)
        add_problem(agent, "env", BAD_COUNT);
    if (node_get(present, "valueFrom"))
        add_problem(agent, "env",
                    "GIT_CONFIG_COUNT comes from elsewhere (valueFrom), so gitgate "
                    "can't add to it: write the number itself");
    if (includes_ours(&config, count))
        return;
    if (count == GIT_CONFIG_COUNT_MAX)
        add_problem(agent, "env", BAD_COUNT);
    add_env(agent, "GIT_CONFIG_KEY_", count, "include.path", &exists);
    add_env(agent, "GIT_CONFIG_VALUE_", count, CLIENT_GITCONFIG, &exists);
    set_count(agent, present, config.count_at, count + 1, &exists);
}

static void add_client_mount(const struct agent *agent)
{
    const struct node *mounts = node_get(agent->container->node, "volumeMounts"), *mount;
    const struct part *ours = &agent->parts->client_mount;
    bool exists = node_is(mounts, NODE_ARRAY);

    node_each(mounts, mount)
    {
        if (!node_is_text(node_get(mount, "mountPath"), GITGATE_CLIENT_DIR))
            continue;
        if (!node_equal(document_root(&ours->document), mount))
            add_problem(agent, "volumeMounts",
                        GITGATE_CLIENT_DIR " is where gitgate mounts the git configuration: mount "
                                           "something else elsewhere");
        return;
    }
    append(agent, "volumeMounts", &exists, ours->text);
}

/* ---- The limits ---------------------------------------------------------------------------- */

static bool drops(const struct node *drop, const char *capability)
{
    const struct node *name;

    node_each(drop, name)
    {
        if (node_is_text(name, "ALL") || node_is_text(name, capability))
            return true;
    }
    return false;
}

static void drop_capabilities(const struct agent *agent, const struct pointer *context_at,
                              const struct node *context)
{
    struct pointer at = pointer_member(context_at, "capabilities");
    struct pointer drop_at = pointer_member(&at, "drop");
    const struct node *capabilities = node_get(context, "capabilities");
    const struct node *drop = node_get(capabilities, "drop");
    bool exists = node_is(drop, NODE_ARRAY);
    char name[32];

    if (!node_is(capabilities, NODE_OBJECT)) {
        patch_add(agent->patch, at, "{\"drop\":" ALL_DROPPED "}");
        return;
    }
    if (!exists) {
        patch_add(agent->patch, drop_at, ALL_DROPPED);
        return;
    }
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++) {
        if (drops(drop, dropped[i]))
            continue;
        snprintf(name, sizeof name, "\"%s\"", dropped[i]);
        patch_append(agent->patch, &drop_at, &exists, name);
    }
}

static void restrict_container(const struct agent *agent)
{
    struct pointer at = pointer_member(&agent->at, "securityContext");
    const struct node *context = node_get(agent->container->node, "securityContext");

    if (!node_is(context, NODE_OBJECT)) {
        patch_add(agent->patch, at,
                  "{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":" ALL_DROPPED
                  "}}");
        return;
    }
    if (!node_is(node_get(context, "allowPrivilegeEscalation"), NODE_FALSE))
        patch_add(agent->patch, pointer_member(&at, "allowPrivilegeEscalation"), "false");
    drop_capabilities(agent, &at, context);
}

void agent_container(const struct container *container, const struct gitgate *gate,
                     const struct parts *parts, struct patch *patch, struct problems *problems)
{
    struct pointer spec = pointer_to("/spec"), list = pointer_member(&spec, container->list);
    struct agent agent = {container, parts, pointer_index(&list, container->index), patch,
                          problems};

    add_git_config(&agent);
    add_client_mount(&agent);
    if (gate->isolation_nftables)
        restrict_container(&agent);
}
