#include "mirror/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "git.h"
#include "lock.h"
#include "mirror/damage.h"
#include "mirror/fetch.h"
#include "mirror/refs.h"
#include "mirror/source.h"
#include "mirror/suspicion.h"
#include "policy.h"
#include "repo.h"
#include "sweep.h"
#include "upstream.h"

#define CHECK_LOCK_TIMEOUT_MS 600000 /* behind a first mirror, or a push of a large pack */
#define REFS_MAX (2 * GIT_OUT_MAX)

static int list_ours(const char *repo, struct refs *refs, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_OUT_MAX, GIT_ERR_MAX);
    int r = git_run(repo, NULL, GIT("for-each-ref", "--format=%(objectname)%09%(refname)"), NULL, 0,
                    GIT_LOCAL_TIMEOUT_MS, &result, err);

    if (r < 0)
        return r;
    if (damage_suspected(result.err.data)) /* a broken ref is left out, with a warning */
        return error_set(err, -EUCLEAN, "the gate's mirror is damaged");
    if (result.exit_code != 0 || buf_error(&result.out))
        return error_set(err, -EIO, "the gate can't read its mirror");
    return refs_parse(result.out.data, refs, err);
}

/* ---- HEAD ---- */

/* A lock that a killed git left would be in the way; ours is held. git's words hold paths, and are
 * for the log. */
static int move_head(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     const char *const *argv, struct error *err)
{
    struct error why = ERROR_INIT;
    int r;

    sweep_ref_locks(repo);
    r = git_must(repo, argv, &why);
    if (r == 0)
        return 0;
    log_error(&gate->log, "cannot move the mirror's HEAD",
              json_pack("{s:s, s:s}", "repo", upstream->name, "error", why.msg));
    return error_set(err, r, "the gate can't write to its mirror; its log says why");
}

/* Detached there, so detached here; at what perhaps no ref leads to. */
static int detach_head(const struct gate *gate, const struct upstream *upstream, const char *repo,
                       const struct refs *theirs, bool *changed, struct error *err)
{
    int r;

    if (repo_head_is(repo, theirs->head_oid))
        return 0;
    *changed = true;
    r = fetch_head(gate, upstream, repo, err);
    return r < 0 ? r
                 : move_head(gate, upstream, repo,
                             GIT("update-ref", "--no-deref", "HEAD", theirs->head_oid), err);
}

/* An upstream without a HEAD (empty, or its branch is gone) leaves ours: a clone is told the same
 * by git. */
static int follow_head(const struct gate *gate, const struct upstream *upstream, const char *repo,
                       const struct refs *theirs, bool *changed, struct error *err)
{
    char head[PUSH_REF_MAX + 1];

    repo_head(repo, head, sizeof head);
    if (*theirs->head && strcmp(theirs->head, head) != 0) {
        *changed = true;
        return move_head(gate, upstream, repo, GIT("symbolic-ref", "HEAD", theirs->head), err);
    }
    return !*theirs->head && *theirs->head_oid
               ? detach_head(gate, upstream, repo, theirs, changed, err)
               : 0;
}

/* ---- the update ---- */

/* serve does the same with the configuration, a moment later than who comes first; and who took a
 * URL out of the GitGate took its credential as well. */
static int begin_other(const struct gate *gate, const struct upstream *upstream, const char *repo,
                       struct error *err)
{
    upstream_end_connections(repo);
    return repo_ensure(gate, upstream, err);
}

/* git fetch may leave a ref as it was, and call that done (those of a shallow clone: "rejected ...
 * because shallow roots are not allowed to be updated", and 0): it would be served as fresh. Who
 * pushes there meanwhile is no such case, and has us list once more. */
static int check_fetched(const struct gate *gate, const struct upstream *upstream, const char *repo,
                         const struct refs *theirs, struct error *err)
{
    struct refs mine CLEANUP(refs_done) = REFS_INIT(REFS_MAX);
    struct refs now CLEANUP(refs_done) = REFS_INIT(REFS_MAX);
    const char *left;
    int r = list_ours(repo, &mine, err);

    if (r < 0 || refs_equal(theirs, &mine))
        return r;
    r = fetch_list(gate, upstream, repo, &now, err);
    left = r < 0 ? NULL : refs_left_out(theirs, &now, &mine);
    if (!left)
        return r;
    log_error(&gate->log, "git does not fetch what the upstream has",
              json_pack("{s:s, s:s%}", "repo", upstream->name, "ref", left, strcspn(left, " ")));
    return error_set(
        err, -ENOTSUP,
        "git does not fetch all that the upstream has: where it is a shallow clone, run "
        "git fetch --unshallow there");
}

/* -EUCLEAN when the mirror may be damaged. */
static int bring_up(const struct gate *gate, const struct upstream *upstream, const char *repo,
                    struct mirror_update *update, struct error *err)
{
    struct refs theirs CLEANUP(refs_done) = REFS_INIT(REFS_MAX);
    struct refs mine CLEANUP(refs_done) = REFS_INIT(REFS_MAX);
    bool ours = source_is(repo, upstream);
    int r = ours ? list_ours(repo, &mine, err) : begin_other(gate, upstream, repo, err);

    if (r == 0)
        r = upstream_prepare(gate, upstream, repo, err);
    update->asked_ns = clock_now_ns();
    if (r == 0)
        r = fetch_list(gate, upstream, repo, &theirs, err);
    /* Only now: who mistyped a URL gets the mirror back with the right one. */
    if (r == 0 && !ours)
        r = source_begin(upstream, repo, err);
    if (r < 0)
        return r;
    update->changed = !refs_equal(&theirs, &mine) || fetch_unfinished(repo);
    if (update->changed)
        r = fetch_all(gate, upstream, repo, &mine, &theirs, err);
    if (r == 0 && update->changed)
        r = check_fetched(gate, upstream, repo, &theirs, err);
    update->changed = update->changed || !ours;
    return r < 0 ? r : follow_head(gate, upstream, repo, &theirs, &update->changed, err);
}

/* Sets the mirror aside when it is damaged; `anew` tells. */
static int begin_anew(const struct gate *gate, const struct upstream *upstream, const char *repo,
                      bool *anew, struct error *err)
{
    struct error why = ERROR_INIT;
    int r = damage_look(repo, anew, &why);

    if (r == 0 && !*anew)
        return 0;
    if (r == 0)
        r = damage_set_aside(gate, upstream, repo, &why);
    if (r < 0) {
        log_error(&gate->log, "the mirror is damaged, and stays so",
                  json_pack("{s:s, s:s}", "repo", upstream->name, "error", why.msg));
        return error_set(err, r, "the gate's mirror is damaged; its log says more");
    }
    log_error(&gate->log, "a damaged mirror was set aside and is made anew",
              json_pack("{s:s, s:s}", "repo", upstream->name, "kept_in", DAMAGE_DIR));
    return 0;
}

int mirror_update(const struct gate *gate, const struct upstream *upstream, const char *repo,
                  struct mirror_update *update, struct error *err)
{
    int r = bring_up(gate, upstream, repo, update, err), was = r;
    bool anew;

    if (r != -EUCLEAN)
        return r;
    r = begin_anew(gate, upstream, repo, &anew, err);
    if (r < 0 || !anew)
        return r < 0 ? r : was; /* not ours: the upstream has it */
    r = bring_up(gate, upstream, repo, update, err);
    update->changed = true;
    return r;
}

int mirror_check(struct gate *gate, const struct upstream **upstream, const char *repo, bool *anew,
                 struct error *err)
{
    cleanup_close int lock = -1;
    struct mirror_update update;
    int r = damage_look(repo, anew, err); /* beside the clients */

    if (r < 0 || !*anew)
        return r;
    r = lock_take(repo, CHECK_LOCK_TIMEOUT_MS, &lock, err);
    if (r == 0)
        r = gate_load_again(gate, upstream, err);
    if (r == 0)
        r = begin_anew(gate, *upstream, repo, anew, err); /* somebody may have been first */
    if (r == 0 && *anew) /* nobody shares a refresh of what has gone */
        lock_write_record(lock, &(struct refresh_record){.started_ns = 0});
    return r < 0 || !*anew ? r : bring_up(gate, *upstream, repo, &update, err);
}
