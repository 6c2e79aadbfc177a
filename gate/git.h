/* Runs git in a repository of the gate: with an environment made from nothing, and bounded. */
#ifndef GITGATE_GATE_GIT_H
#define GITGATE_GATE_GIT_H

#include "base/proc.h"

/* An environment for execve: NULL-terminated, owned. */
struct child_env {
    char **list;
    size_t n;
};

#define CHILD_ENV_INIT ((struct child_env){0})
#define cleanup_child_env __attribute__((cleanup(child_env_done)))

void child_env_done(struct child_env *env);

/* "KEY=value"; 0 or -ENOMEM. */
int child_env_set(struct child_env *env, const char *key, const char *value);

/* Takes over what this process has under `key`, if anything. */
int child_env_keep(struct child_env *env, const char *key);

/* What any child may know: PATH, TMPDIR, an empty HOME, no git configuration but the repository's
 * own, English messages (they are classified), no prompt. */
int child_env_base(struct child_env *env);

/* The same for git with a repository as its folder: that, also when it is damaged. git would look
 * for one in the folders above, and do to whatever it finds there what is meant for ours. */
int child_env_repo(struct child_env *env);

/* The same for git that looks at a push: in the quarantine that a pre-receive hook sees its objects
 * in, and with little memory. */
int child_env_quarantine(struct child_env *env);

#define GIT_OUT_MAX (64u << 20) /* 600,000 refs of a repository */
#define GIT_ERR_MAX (64u << 10)
#define GIT_LOCAL_TIMEOUT_MS 60000 /* commands that only look at refs */

/* Runs `argv` ("git", ...) in `repo`, with `env` (NULL: child_env_repo). */
int git_run(const char *repo, const struct child_env *env, const char *const *argv,
            const char *input, size_t input_len, uint64_t timeout_ms, struct proc_result *result,
            struct error *err);

/* The same for a command that must exit with 0 and whose output does not matter. */
int git_must(const char *repo, const char *const *argv, struct error *err);

#define GIT(...) ((const char *const[]){"git", __VA_ARGS__, NULL})

#endif
