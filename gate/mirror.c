#include "mirror.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "damage.h"
#include "git.h"
#include "lock.h"
#include "policy.h"
#include "reason.h"
#include "repo.h"
#include "suspicion.h"
#include "sweep.h"
#include "upstream.h"

/* A login of 15 round trips over a bad line, and 100,000 refs, fit in this. */
#define ASK_TIMEOUT_MS 60000
/* libcurl waits five minutes for a host that does not answer, and git can't tell it to wait less.
 */
#define ASK_HTTPS_TIMEOUT_MS 30000
/* A first mirror of a large repository. A network that goes silent is noticed in seconds: by
 * ServerAliveInterval (ssh) and http.lowSpeedTime (https). */
#define FETCH_TIMEOUT_MS 1800000
#define CHECK_LOCK_TIMEOUT_MS 600000 /* behind a first mirror, or a push of a large pack */
#define SAID_SHOWN 2000              /* bytes of git's words in the log */

/* Refs as lines "<name> <oid>", sorted: equal texts are equal repositories. */
struct refs {
    char **lines; /* into text */
    size_t n;
    struct buf text;
    char head[PUSH_REF_MAX + 1];    /* the branch that HEAD names, or "" */
    char head_oid[OID_HEX_MAX + 1]; /* what HEAD is */
};

#define REFS_INIT ((struct refs){.text = BUF_INIT(2 * GIT_OUT_MAX)})

static void refs_done(struct refs *refs)
{
    free(refs->lines);
    buf_done(&refs->text);
}

/* ---- reading lists ---- */

static bool ours(const char *name)
{
    return strncmp(name, "refs/gitgate/", 13) == 0;
}

static void take_head(struct refs *refs, const char *value, const char *name)
{
    const char *symref = strncmp(value, "ref: ", 5) == 0 ? value + 5 : NULL;

    if (strcmp(name, "HEAD") != 0)
        return;
    if (symref && strncmp(symref, "refs/heads/", 11) == 0)
        snprintf(refs->head, sizeof refs->head, "%s", symref);
    else if (!symref)
        snprintf(refs->head_oid, sizeof refs->head_oid, "%s", value);
}

static void take_line(struct refs *refs, char *line)
{
    char *name = strchr(line, '\t');
    size_t len;

    if (!name)
        return;
    *name++ = '\0';
    len = strlen(name);
    take_head(refs, line, name);
    if (strncmp(name, "refs/", 5) != 0 || ours(name) ||
        (len > 3 && strcmp(name + len - 3, "^{}") == 0))
        return;
    buf_addf(&refs->text, "%s %s", name, line);
    buf_addc(&refs->text, '\0');
    refs->n++;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* `list` is what `git ls-remote` prints: "<value>\t<name>" a line. It is cut up. */
static int refs_parse(char *list, struct refs *refs, struct error *err)
{
    char *at;

    for (char *line = list, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        take_line(refs, line);
    }
    refs->lines = calloc(refs->n + 1, sizeof *refs->lines);
    if (!refs->lines || buf_error(&refs->text))
        return error_errno(err, -ENOMEM, "cannot list the refs");
    at = refs->text.data;
    for (size_t i = 0; i < refs->n; i++, at += strlen(at) + 1)
        refs->lines[i] = at;
    qsort(refs->lines, refs->n, sizeof *refs->lines, compare_lines);
    return 0;
}

static bool refs_equal(const struct refs *a, const struct refs *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->lines[i], b->lines[i]) != 0)
            return false;
    return true;
}

/* ---- talking to the upstream ---- */

static void log_words(const struct gate *gate, const struct upstream *upstream, const char *what,
                      const struct proc_result *result)
{
    cleanup_buf struct buf said = BUF_INIT(SAID_SHOWN);
    size_t len = result->err.len < SAID_SHOWN ? result->err.len : SAID_SHOWN;

    printable(&said, result->err.data, len);
    log_warn(&gate->log, what,
             json_pack("{s:s, s:i, s:b, s:s}", "repo", upstream->name, "exit", result->exit_code,
                       "timed_out", result->timed_out, "said", said.data));
}

static int refuse(const struct gate *gate, const struct upstream *upstream, const char *what,
                  const struct proc_result *result, struct error *err)
{
    cleanup_buf struct buf reason = BUF_INIT(ERROR_MSG_MAX);

    log_words(gate, upstream, what, result);
    reason_add(&reason, upstream, gate_upstream_index(gate, upstream), result);
    return error_set(err, -EIO, "%s", reason.data);
}

static int ask(const struct gate *gate, const struct upstream *upstream, const char *repo,
               struct refs *refs, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_OUT_MAX, GIT_ERR_MAX);
    int r = git_run(repo, NULL, GIT("ls-remote", "--symref", "--", upstream->url_text), NULL, 0,
                    upstream->url.scheme == URL_SSH ? ASK_TIMEOUT_MS : ASK_HTTPS_TIMEOUT_MS,
                    &result, err);

    if (r < 0)
        return r;
    if (result.exit_code != 0)
        return refuse(gate, upstream, "cannot list the upstream's refs", &result, err);
    if (buf_error(&result.out))
        return error_set(err, -E2BIG, "the upstream has more refs than the gate can mirror");
    return refs_parse(result.out.data, refs, err);
}

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

static int run_fetch(const struct upstream *upstream, const char *repo, struct proc_result *result,
                     struct error *err)
{
    return git_run(repo, NULL,
                   GIT("fetch", "--quiet", "--prune", "--no-tags", "--no-auto-maintenance",
                       "--no-write-fetch-head", "--no-recurse-submodules", "--", upstream->url_text,
                       "+refs/*:refs/*", "^refs/gitgate/*"),
                   NULL, 0, FETCH_TIMEOUT_MS, result, err);
}

/* A git that was killed while it moved refs, which is done under the lock that we hold. */
static bool was_in_the_way(const char *repo, const struct proc_result *result)
{
    return strstr(result->err.data, ".lock': File exists") && sweep_ref_locks(repo) > 0;
}

static int fetch(const struct gate *gate, const struct upstream *upstream, const char *repo,
                 struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    int r = run_fetch(upstream, repo, &result, err);

    if (r == 0 && result.exit_code != 0 && was_in_the_way(repo, &result)) {
        proc_result_done(&result);
        result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
        r = run_fetch(upstream, repo, &result, err);
    }
    if (r < 0)
        return r;
    if (result.exit_code == 0)
        return 0;
    r = refuse(gate, upstream, "cannot fetch from the upstream", &result, err);
    return damage_suspected(result.err.data) ? -EUCLEAN : r;
}

/* ---- HEAD ---- */

/* An upstream without a HEAD (empty, or its branch is gone) leaves ours: a clone is told the same
 * by git. */
static int follow_head(const char *repo, const struct refs *theirs, bool *changed,
                       struct error *err)
{
    char head[PUSH_REF_MAX + 1];

    repo_head(repo, head, sizeof head);
    if (*theirs->head && strcmp(theirs->head, head) != 0) {
        *changed = true;
        return git_must(repo, GIT("symbolic-ref", "HEAD", theirs->head), err);
    }
    if (!*theirs->head && *theirs->head_oid) { /* detached there, so detached here */
        *changed = *changed || *head;
        return git_must(repo, GIT("update-ref", "--no-deref", "HEAD", theirs->head_oid), err);
    }
    return 0;
}

/* ---- the update ---- */

/* -EUCLEAN when the mirror may be damaged. */
static int bring_up(const struct gate *gate, const struct upstream *upstream, const char *repo,
                    bool *changed, struct error *err)
{
    struct refs theirs CLEANUP(refs_done) = REFS_INIT;
    struct refs mine CLEANUP(refs_done) = REFS_INIT;
    int r = list_ours(repo, &mine, err);

    if (r == 0)
        r = upstream_prepare(gate, upstream, repo, err);
    if (r == 0)
        r = ask(gate, upstream, repo, &theirs, err);
    if (r < 0)
        return r;
    *changed = !refs_equal(&theirs, &mine);
    if (*changed)
        r = fetch(gate, upstream, repo, err);
    return r < 0 ? r : follow_head(repo, &theirs, changed, err);
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
                  bool *changed, struct error *err)
{
    int r = bring_up(gate, upstream, repo, changed, err), was = r;
    bool anew;

    if (r != -EUCLEAN)
        return r;
    r = begin_anew(gate, upstream, repo, &anew, err);
    if (r < 0 || !anew)
        return r < 0 ? r : was; /* not ours: the upstream has it */
    r = bring_up(gate, upstream, repo, changed, err);
    *changed = true;
    return r;
}

int mirror_check(const struct gate *gate, const struct upstream *upstream, const char *repo,
                 bool *anew, struct error *err)
{
    cleanup_close int lock = -1;
    bool changed;
    int r = damage_look(repo, anew, err); /* beside the clients */

    if (r < 0 || !*anew)
        return r;
    r = lock_take(repo, CHECK_LOCK_TIMEOUT_MS, &lock, err);
    if (r == 0)
        r = begin_anew(gate, upstream, repo, anew, err); /* somebody may have been first */
    return r < 0 || !*anew ? r : bring_up(gate, upstream, repo, &changed, err);
}
