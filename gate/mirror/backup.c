#include "mirror/backup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "git.h"
#include "sweep.h"

#define SECOND_DIGITS 10 /* until the year 2286: the names sort as their times do */

/* The exit code of git; -1 when it did not come to one. */
static int ask(const char *repo, const char *const *argv)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);

    return git_run(repo, NULL, argv, NULL, 0, GIT_LOCAL_TIMEOUT_MS, &result, NULL) == 0
               ? result.exit_code
               : -1;
}

static int update_refs(const char *repo, const struct buf *input, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    int r;

    if (buf_error(input))
        return error_errno(err, buf_error(input), "cannot move the backups");
    if (input->len == 0)
        return 0;
    sweep_ref_locks(repo); /* a killed git's: the repository's lock is held */
    r = git_run(repo, NULL, GIT("update-ref", "--no-deref", "--stdin"), input->data, input->len,
                GIT_LOCAL_TIMEOUT_MS, &result, err);
    if (r == 0 && result.exit_code != 0)
        r = error_set(err, -EIO, "git update-ref failed: %.300s", result.err.data);
    return r;
}

static void add_name(struct buf *to, const struct backup *backup,
                     const struct push_command *command)
{
    buf_addf(to, BACKUP_REFS "%0*" PRIu64 "-%d/%s", SECOND_DIGITS, backup->second, (int)getpid(),
             command->ref + strlen("refs/"));
}

/* ---- before a push ---- */

/* Anything but a branch that goes forward. */
static bool may_lose(const struct backup *backup, const struct push_command *command)
{
    if (command->change == CHANGE_CREATE || (command->change == CHANGE_UPDATE && !backup->force))
        return false;
    if (command->change == CHANGE_DELETE || strncmp(command->ref, "refs/heads/", 11) != 0)
        return true;
    return ask(backup->repo,
               GIT("merge-base", "--is-ancestor", command->old_oid, command->new_oid)) != 0;
}

/* The same value of the same ref, kept before: in the way of others, as their number is capped. */
static void drop_earlier(const struct backup *backup, const struct push_command *command,
                         struct buf *input)
{
    cleanup_proc struct proc_result names = PROC_RESULT_INIT(GIT_OUT_MAX, GIT_ERR_MAX);
    const char *rest = command->ref + strlen("refs");
    char points_at[OID_HEX_MAX + 16];

    snprintf(points_at, sizeof points_at, "--points-at=%s", command->old_oid);
    if (git_run(backup->repo, NULL,
                GIT("for-each-ref", points_at, "--format=%(refname)", BACKUP_REFS), NULL, 0,
                GIT_LOCAL_TIMEOUT_MS, &names, NULL) < 0)
        return;
    for (const char *line = names.out.data, *end; *line; line = *end ? end + 1 : end) {
        const char *slash = strchr(line + strlen(BACKUP_REFS), '/');

        end = line + strcspn(line, "\n");
        if (slash && slash < end && strlen(rest) == (size_t)(end - slash) &&
            strncmp(slash, rest, strlen(rest)) == 0)
            buf_addf(input, "delete %.*s\n", (int)(end - line), line);
    }
}

/* What the client says that the ref was need not be here (1); where git can't tell it may be. */
static int keep(const struct backup *backup, const struct push_command *command, struct buf *input,
                struct error *err)
{
    int code =
        may_lose(backup, command) ? ask(backup->repo, GIT("cat-file", "-e", command->old_oid)) : 1;

    if (code == 1)
        return 0;
    if (code != 0)
        return error_set(err, -EIO, "git cat-file failed (%d)", code);
    drop_earlier(backup, command, input);
    buf_adds(input, "create ");
    add_name(input, backup, command);
    buf_addf(input, " %s\n", command->old_oid);
    return 0;
}

int backup_make(const struct backup *backup, struct error *err)
{
    cleanup_buf struct buf input = BUF_INIT(GIT_OUT_MAX);
    struct error why = ERROR_INIT;
    int r = 0;

    for (size_t i = 0; r == 0 && i < backup->push->n; i++)
        r = keep(backup, &backup->push->commands[i], &input, &why);
    if (r == 0)
        r = update_refs(backup->repo, &input, &why);
    if (r == 0)
        return 0;
    log_error(&backup->gate->log, "cannot keep what a push takes away",
              json_pack("{s:s}", "error", why.msg));
    return error_set(
        err, r, "the gate could not keep what this push takes away upstream; its log says why");
}

/* ---- upkeep ---- */

/* The names, newest first, a line each. */
static int list(const char *repo, struct proc_result *result, struct error *err)
{
    int r = git_run(repo, NULL,
                    GIT("for-each-ref", "--sort=-refname", "--format=%(refname)", BACKUP_REFS),
                    NULL, 0, GIT_LOCAL_TIMEOUT_MS, result, err);

    if (r == 0 && (result->exit_code != 0 || buf_error(&result->out)))
        r = error_set(err, -EIO, "cannot list the backups: %.300s", result->err.data);
    return r;
}

int backup_trim(const char *repo, uint64_t now_s, bool room_short, struct error *err)
{
    cleanup_proc struct proc_result names = PROC_RESULT_INIT(GIT_OUT_MAX, GIT_ERR_MAX);
    cleanup_buf struct buf input = BUF_INIT(GIT_OUT_MAX);
    size_t n = 0, max = room_short ? BACKUP_SHORT_MAX : BACKUP_MAX;
    char oldest[sizeof BACKUP_REFS + 24];
    int r = list(repo, &names, err);

    if (r < 0)
        return r;
    snprintf(oldest, sizeof oldest, BACKUP_REFS "%0*" PRIu64, SECOND_DIGITS,
             now_s > BACKUP_S ? now_s - BACKUP_S : 0);
    for (char *line = names.out.data, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        if (++n > max || strcmp(line, oldest) < 0)
            buf_addf(&input, "delete %s\n", line);
    }
    return update_refs(repo, &input, err);
}
