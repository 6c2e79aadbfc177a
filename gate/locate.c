/* From a finding in a file of SCAN_DIR back to its place in the push. */
#include <stdio.h>
#include <string.h>

#include "git.h"
#include "objects_impl.h"

static const struct new_path *name_at(const struct objects *o, unsigned line)
{
    const struct new_path *found = NULL;

    for (size_t i = 0; i < o->n_names && o->list[i].line <= line; i++)
        found = &o->list[i];
    return found;
}

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

/* Looks the object up in rev-list's output: its path, and the commit that stands above it. */
static void locate_object(const struct objects *o, const char *oid, struct location *ret)
{
    char list_path[PATH_MAX], *line = NULL;
    size_t size = 0, len = strlen(oid);
    ssize_t n;
    FILE *list;

    workdir_path(o->dir, LIST_FILE, list_path);
    list = fopen(list_path, "re");
    while (list && (n = getline(&line, &size, list)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (!strchr(line, ' '))
            snprintf(ret->commit, sizeof ret->commit, "%.*s", OID_HEX_MAX, line);
        if (strncmp(line, oid, len) != 0 || line[len] != ' ')
            continue;
        snprintf(ret->path, sizeof ret->path, "%.*s", PATH_MAX - 1, line + len + 1);
        break;
    }
    free(line);
    if (list)
        fclose(list);
}

static void locate_record(const char *suffix, struct location *ret)
{
    if (strncmp(suffix, COMMIT_SUFFIX, strlen(COMMIT_SUFFIX)) == 0) {
        ret->place = PLACE_COMMIT;
        memcpy(ret->commit, ret->object, sizeof ret->commit);
    } else if (strncmp(suffix, TAG_SUFFIX, strlen(TAG_SUFFIX)) == 0) {
        ret->place = PLACE_TAG;
    }
}

void objects_locate(const struct objects *o, const char *name, unsigned line, struct location *ret)
{
    size_t digits = strspn(name, "0123456789abcdef");

    *ret = (struct location){.place = PLACE_NONE};
    if (strcmp(name, REFS_FILE) == 0) {
        ret->place = PLACE_REF;
    } else if (strcmp(name, NAMES_FILE) == 0) {
        const struct new_path *entry = name_at(o, line);

        ret->place = PLACE_NAME;
        if (!entry)
            return;
        snprintf(ret->object, sizeof ret->object, "%s", o->names.data + entry->object);
        locate_object(o, ret->object, ret);
    } else if (digits == 40 || digits == 64) {
        snprintf(ret->object, sizeof ret->object, "%.*s", (int)digits, name);
        locate_record(name + digits, ret);
        if (ret->place != PLACE_NONE)
            return;
        ret->place = PLACE_BLOB;
        ret->line = line > LEAD_LEN ? line - LEAD_LEN : 1;
        locate_object(o, ret->object, ret);
    }
}

bool objects_flags_path(const struct objects *o, const char *name, unsigned line, const char *path)
{
    const struct new_path *entry = strcmp(name, NAMES_FILE) == 0 ? name_at(o, line) : NULL;
    size_t len = strlen(path), n = entry ? strlen(o->names.data + entry->path) : 0;

    /* Its own name, or that of a folder above it. */
    return entry && n <= len && memcmp(o->names.data + entry->path, path, n) == 0 &&
           (path[n] == '\0' || path[n] == '/');
}
