#include "git.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void child_env_done(struct child_env *env)
{
    for (size_t i = 0; i < env->n; i++)
        free(env->list[i]);
    free(env->list);
    *env = CHILD_ENV_INIT;
}

int child_env_set(struct child_env *env, const char *key, const char *value)
{
    char **list = realloc(env->list, (env->n + 2) * sizeof *list);
    char *entry;

    if (!list)
        return -ENOMEM;
    env->list = list;
    if (asprintf(&entry, "%s=%s", key, value) < 0) {
        list[env->n] = NULL;
        return -ENOMEM;
    }
    list[env->n++] = entry;
    list[env->n] = NULL;
    return 0;
}

int child_env_keep(struct child_env *env, const char *key)
{
    const char *value = getenv(key);

    return value ? child_env_set(env, key, value) : 0;
}

static const char *const base_env[][2] = {
    {"HOME", "/nonexistent"}, /* neither ~/.gitconfig nor ~/.ssh nor ~/.netrc */
    {"GIT_CONFIG_NOSYSTEM", "1"},    {"GIT_CONFIG_GLOBAL", "/dev/null"},
    {"GIT_NO_REPLACE_OBJECTS", "1"}, {"GIT_TERMINAL_PROMPT", "0"},
    {"GIT_SSH_VARIANT", "ssh"},      {"LC_ALL", "C"},
};

int child_env_base(struct child_env *env)
{
    const char *path = getenv("PATH");
    int r = child_env_set(env, "PATH", path && *path ? path : PATH_DEFAULT);

    if (r == 0)
        r = child_env_keep(env, "TMPDIR");
    for (size_t i = 0; r == 0 && i < sizeof base_env / sizeof *base_env; i++)
        r = child_env_set(env, base_env[i][0], base_env[i][1]);
    return r;
}

int child_env_repo(struct child_env *env)
{
    int r = child_env_base(env);

    return r < 0 ? r : child_env_set(env, "GIT_DIR", ".");
}

/* git maps what it reads of a pack, by default up to all of it, and keeps 96 MB of delta bases: a
 * push's size would be that of git's memory. Of each object it needs a few pages once. */
static const char *const small_memory[][2] = {
    {"GIT_CONFIG_COUNT", "3"},     {"GIT_CONFIG_KEY_0", "core.packedGitWindowSize"},
    {"GIT_CONFIG_VALUE_0", "1m"},  {"GIT_CONFIG_KEY_1", "core.packedGitLimit"},
    {"GIT_CONFIG_VALUE_1", "32m"}, {"GIT_CONFIG_KEY_2", "core.deltaBaseCacheLimit"},
    {"GIT_CONFIG_VALUE_2", "16m"}};

int child_env_quarantine(struct child_env *env)
{
    static const char *const keys[] = {"GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                                       "GIT_QUARANTINE_PATH"};
    int r = child_env_repo(env);

    for (size_t i = 0; r == 0 && i < sizeof keys / sizeof *keys; i++)
        r = child_env_keep(env, keys[i]);
    for (size_t i = 0; r == 0 && i < sizeof small_memory / sizeof *small_memory; i++)
        r = child_env_set(env, small_memory[i][0], small_memory[i][1]);
    return r;
}

int git_run(const char *repo, const struct child_env *env, const char *const *argv,
            const char *input, size_t input_len, uint64_t timeout_ms, struct proc_result *result,
            struct error *err)
{
    cleanup_child_env struct child_env own = CHILD_ENV_INIT;
    struct proc_spec spec = {.argv = argv,
                             .cwd = repo,
                             .input = input,
                             .input_len = input_len,
                             .timeout_ms = timeout_ms};

    if (!env && child_env_repo(&own) < 0)
        return error_errno(err, -ENOMEM, "cannot run git");
    spec.env = (const char *const *)(env ? env->list : own.list);
    return proc_run(&spec, result, err);
}

int git_must(const char *repo, const char *const *argv, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    int r = git_run(repo, NULL, argv, NULL, 0, GIT_LOCAL_TIMEOUT_MS, &result, err);

    if (r < 0)
        return r;
    if (result.exit_code != 0)
        return error_set(err, -EIO, "git %s failed: %.300s", argv[1], result.err.data);
    return 0;
}
