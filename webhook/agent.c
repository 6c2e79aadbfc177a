#include "agent.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "parts.h"

/* More pairs than anybody has; git itself takes any number. */
#define GIT_CONFIG_COUNT_MAX 1000

/* The split lets the gate's user out. With these a process could become that user, make a file that
 * does, or write packets that have no user. Containers get the first five by default. */
static const char *const dropped[] = {"SETUID",  "SETGID",  "SETPCAP",
                                      "SETFCAP", "NET_RAW", "NET_ADMIN"};

struct agent {
    const struct container *container;
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
static void append(const struct agent *agent, const char *member, bool *exists, json_t *value)
{
    struct pointer at = pointer_member(&agent->at, member);

    if (*exists)
        patch_add(agent->patch, pointer_end(&at), value);
    else
        patch_add(agent->patch, at, json_pack("[o]", value));
    *exists = true;
}

/* The last one counts, as in the container. */
static const json_t *find_env(const json_t *env, const char *name, size_t *index)
{
    for (*index = json_array_size(env); *index > 0;) {
        const json_t *entry = json_array_get(env, --*index);
        const char *text = json_string_value(json_object_get(entry, "name"));

        if (text && strcmp(text, name) == 0)
            return entry;
    }
    return NULL;
}

static bool env_is(const json_t *env, const char *prefix, uint64_t n, const char *expected)
{
    char name[64];
    size_t at;
    const char *value;

    snprintf(name, sizeof name, "%s%llu", prefix, (unsigned long long)n);
    value = json_string_value(json_object_get(find_env(env, name, &at), "value"));
    return value && strcmp(value, expected) == 0;
}

static void add_env(const struct agent *agent, const char *prefix, uint64_t n, const char *value,
                    bool *exists)
{
    char name[64];

    snprintf(name, sizeof name, "%s%llu", prefix, (unsigned long long)n);
    append(agent, "env", exists, json_pack("{s:s, s:s}", "name", name, "value", value));
}

/* Sets GIT_CONFIG_COUNT to `n`, in place when it is there. */
static void set_count(const struct agent *agent, const json_t *present, size_t index, uint64_t n,
                      bool *exists)
{
    struct pointer env = pointer_member(&agent->at, "env"), entry = pointer_index(&env, index);
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    if (present)
        patch_add(agent->patch, pointer_member(&entry, "value"), json_string(text));
    else
        append(agent, "env", exists,
               json_pack("{s:s, s:s}", "name", "GIT_CONFIG_COUNT", "value", text));
}

/* git reads GIT_CONFIG_KEY_<n> and _VALUE_<n> for n below GIT_CONFIG_COUNT (git-config(1)): ours
 * comes behind the pod's own pairs. */
static void add_git_config(const struct agent *agent)
{
    const json_t *env = json_object_get(agent->container->json, "env");
    bool exists = json_is_array(env);
    size_t index;
    const json_t *present = find_env(env, "GIT_CONFIG_COUNT", &index);
    const char *text = json_string_value(json_object_get(present, "value"));
    uint64_t count = 0;

    if (present && text && *text && parse_u64(text, GIT_CONFIG_COUNT_MAX, &count) < 0)
        add_problem(agent, "env",
                    "GIT_CONFIG_COUNT is not a plain number, so gitgate can't add to "
                    "it: write the number itself");
    if (json_object_get(present, "valueFrom"))
        add_problem(agent, "env",
                    "GIT_CONFIG_COUNT comes from elsewhere (valueFrom), so gitgate "
                    "can't add to it: write the number itself");
    for (uint64_t i = 0; i < count; i++)
        if (env_is(env, "GIT_CONFIG_KEY_", i, "include.path") &&
            env_is(env, "GIT_CONFIG_VALUE_", i, CLIENT_GITCONFIG))
            return;
    add_env(agent, "GIT_CONFIG_KEY_", count, "include.path", &exists);
    add_env(agent, "GIT_CONFIG_VALUE_", count, CLIENT_GITCONFIG, &exists);
    set_count(agent, present, index, count + 1, &exists);
}

static void add_client_mount(const struct agent *agent)
{
    const json_t *mounts = json_object_get(agent->container->json, "volumeMounts");
    bool exists = json_is_array(mounts);
    json_auto_t *ours = parts_client_mount();
    const json_t *mount;
    size_t i;

    json_array_foreach(mounts, i, mount)
    {
        const char *path = json_string_value(json_object_get(mount, "mountPath"));

        if (!path || strcmp(path, GITGATE_CLIENT_DIR) != 0)
            continue;
        if (!json_equal(ours, (json_t *)mount))
            add_problem(agent, "volumeMounts",
                        GITGATE_CLIENT_DIR " is where gitgate mounts the git configuration: mount "
                                           "something else elsewhere");
        return;
    }
    append(agent, "volumeMounts", &exists, TAKE_PTR(ours));
}

static bool drops(const json_t *drop, const char *capability)
{
    const json_t *name;
    size_t i;

    json_array_foreach(drop, i, name)
    {
        const char *text = json_string_value(name);

        if (text && (strcmp(text, "ALL") == 0 || strcmp(text, capability) == 0))
            return true;
    }
    return false;
}

/* Those of our list that `drop` lacks. */
static json_t *missing_drops(const json_t *drop)
{
    json_t *missing = json_array();

    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        if (!drops(drop, dropped[i]))
            json_array_append_new(missing, json_string(dropped[i]));
    return missing;
}

static void drop_capabilities(const struct agent *agent, const json_t *context)
{
    struct pointer at = pointer_member(&agent->at, "securityContext");
    struct pointer capabilities_at = pointer_member(&at, "capabilities");
    struct pointer drop_at = pointer_member(&capabilities_at, "drop");
    const json_t *capabilities = json_object_get(context, "capabilities");
    const json_t *drop = json_object_get(capabilities, "drop");
    json_auto_t *missing = missing_drops(drop);
    json_t *name;
    size_t i;

    if (!json_is_object(capabilities))
        patch_add(agent->patch, capabilities_at, json_pack("{s:O}", "drop", missing));
    else if (!json_is_array(drop))
        patch_add(agent->patch, drop_at, json_incref(missing));
    else
        json_array_foreach(missing, i, name)
            patch_add(agent->patch, pointer_end(&drop_at), json_incref(name));
}

static void restrict_container(const struct agent *agent)
{
    struct pointer at = pointer_member(&agent->at, "securityContext");
    const json_t *context = json_object_get(agent->container->json, "securityContext");

    if (!json_is_object(context)) {
        patch_add(agent->patch, at,
                  json_pack("{s:b, s:{s:o}}", "allowPrivilegeEscalation", 0, "capabilities", "drop",
                            missing_drops(NULL)));
        return;
    }
    if (!json_is_false(json_object_get(context, "allowPrivilegeEscalation")))
        patch_add(agent->patch, pointer_member(&at, "allowPrivilegeEscalation"), json_false());
    drop_capabilities(agent, context);
}

void agent_container(const struct container *container, const struct gitgate *gate,
                     struct patch *patch, struct problems *problems)
{
    struct pointer spec = pointer_to("/spec"), list = pointer_member(&spec, container->list);
    struct agent agent = {container, pointer_index(&list, container->index), patch, problems};

    add_git_config(&agent);
    add_client_mount(&agent);
    if (gate->isolation_nftables)
        restrict_container(&agent);
}
