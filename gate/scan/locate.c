/* From a finding back to its place in the push. */
#include <stdio.h>
#include <string.h>

#include "git.h"
#include "scan/objects_impl.h"

/* What a tag points at directly is listed behind some commit, and is in none. */
bool objects_commit_has(const struct objects *o, const char *commit, const char *path,
                        const char *oid)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(OID_HEX_MAX + 1, GIT_ERR_MAX);
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    cleanup_free char *name = NULL;

    if (asprintf(&name, "%s:%s", commit, path) < 0) {
        name = NULL;
        return false;
    }
    return child_env_quarantine(&env) == 0 &&
           git_run(o->repo, &env, GIT("rev-parse", "--verify", "--quiet", name), NULL, 0,
                   GIT_LOCAL_TIMEOUT_MS, &result, NULL) == 0 &&
           result.exit_code == 0 && strncmp(result.out.data, oid, strlen(oid)) == 0;
}

/* Line by line of the list: a commit, whose objects follow, or an object and its path. True when it
 * is the one. */
static bool look_at_line(const char *line, const char *oid, struct location *ret)
{
    size_t len = strlen(oid);

    if (!strchr(line, ' '))
        snprintf(ret->commit, sizeof ret->commit, "%.*s", OID_HEX_MAX, line);
    if (strncmp(line, oid, len) != 0 || line[len] != ' ')
        return false;
    snprintf(ret->path, sizeof ret->path, "%.*s", PATH_MAX - 1, line + len + 1);
    return true;
}

static void locate_in_file(const struct objects *o, const char *oid, struct location *ret)
{
    char list_path[PATH_MAX], *line = NULL;
    size_t size = 0;
    ssize_t n;
    FILE *list;

    workdir_path(o->dir, LIST_FILE, list_path);
    list = fopen(list_path, "re");
    while (list && (n = getline(&line, &size, list)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (look_at_line(line, oid, ret))
            break;
    }
    free(line);
    if (list)
        fclose(list);
}

/* Looks the object up in the list: its path, and the commit that stands above it. */
static void locate_object(const struct objects *o, const char *oid, struct location *ret)
{
    cleanup_buf struct buf line = BUF_INIT(WALK_LINE_MAX);

    if (!o->walk) {
        locate_in_file(o, oid, ret);
        return;
    }
    for (size_t i = 0; i < o->walk->n; i++)
        if (objects_walked_line(o, i, &line, NULL) == 0 && look_at_line(line.data, oid, ret))
            return;
}

void objects_locate(const struct objects *o, enum place place, const char *object, unsigned line,
                    struct location *ret)
{
    *ret = (struct location){.place = place};
    snprintf(ret->object, sizeof ret->object, "%s", object);
    if (place == PLACE_COMMIT)
        snprintf(ret->commit, sizeof ret->commit, "%s", object);
    if (place == PLACE_BLOB)
        ret->line = line;
    if (place == PLACE_BLOB || place == PLACE_NAME)
        locate_object(o, ret->object, ret);
}
