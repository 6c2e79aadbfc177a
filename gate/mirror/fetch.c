#include "mirror/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "git.h"
#include "mirror/suspicion.h"
#include "names.h"
#include "reason.h"
#include "sweep.h"
#include "upstream.h"
#include "words.h"

/* A login of 15 round trips over a bad line, and 100,000 refs, fit in this. */
#define ASK_TIMEOUT_MS 60000
/* libcurl waits five minutes for a host that does not answer, and git can't tell it to wait less.
 */
#define ASK_HTTPS_TIMEOUT_MS 30000
/* git keeps a list of refs in memory, however long it gets. GIT_OUT_MAX of it take it half of this,
 * and the rest of a gate's container (1 GiB) goes on beside. */
#define LIST_MEMORY_MAX ((uint64_t)512 << 20)
/* One step of a large repository. A network that goes silent is noticed in seconds: by
 * ServerAliveInterval (ssh) and http.lowSpeedTime (https). */
#define FETCH_TIMEOUT_MS 1800000
#define SAID_SHOWN 2000 /* bytes of git's words in the log */

/* A first mirror comes in steps. The first goes so many commits deep, and most repositories are
 * whole then: they pay nothing. Later ones go half as deep again as what is there, so that a
 * million commits are there in twenty requests. What a kill loses is the step under way; what comes
 * next is a smaller one, and smaller again, so that whatever kills it again and again (a
 * container's memory is too small for so much at once), something is kept in the end. */
#define STEP_FIRST 1000
#define STEP_LESS 10 /* times smaller */
#define STEP_MIN 10
#define STEP_GROWTH 3         /* times larger at most than the last one */
#define DEPTH_ALL 2147483647u /* git's INFINITE_DEPTH: what --unshallow asks for */
#define DEPTH_DIGITS 10
#define STEP_TEXT (2 * DEPTH_DIGITS + 2)
/* git keeps here where a history is cut off; no such file: it is whole. A line for each commit. */
#define SHALLOW_FILE "shallow"
#define SHALLOW_MAX (64u << 20)

/* ---- what git says ---- */

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

/* git, or what speaks https for it: "fatal: Out of memory, realloc failed". */
static bool ran_out_of_memory(const struct proc_result *result)
{
    return words_have(result->err.data, "ut of memory");
}

/* By the protocol's first version, in which a server lists its refs unasked: a round trip less than
 * in the second, in which it first says what it can do. All refs are wanted, so there is nothing to
 * ask for. */
static int run_list(const struct upstream *upstream, const char *repo, struct proc_result *result,
                    struct error *err)
{
    return upstream_git(
        repo, GIT("-c", "protocol.version=0", "ls-remote", "--symref", "--", upstream->url_text),
        upstream->url.scheme == URL_SSH ? ASK_TIMEOUT_MS : ASK_HTTPS_TIMEOUT_MS, LIST_MEMORY_MAX,
        result, err);
}

int fetch_list(const struct gate *gate, const struct upstream *upstream, const char *repo,
               struct refs *theirs, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_OUT_MAX, GIT_ERR_MAX);
    int r = run_list(upstream, repo, &result, err);

    if (r < 0)
        return r;
    if (buf_error(&result.out) || (result.exit_code != 0 && ran_out_of_memory(&result))) {
        log_words(gate, upstream, "the upstream's list of refs is too long", &result);
        return error_set(err, -E2BIG,
                         "%s lists more than %u MiB of refs, which is more than the "
                         "gate mirrors",
                         upstream->url.host, GIT_OUT_MAX >> 20);
    }
    if (result.exit_code != 0)
        return refuse(gate, upstream, "cannot list the upstream's refs", &result, err);
    return refs_parse(result.out.data, theirs, err);
}

/* ---- one fetch ---- */

static int run_fetch(const struct upstream *upstream, const char *repo, uint32_t depth,
                     struct proc_result *result, struct error *err)
{
    char option[sizeof "--depth=" + DEPTH_DIGITS];
    const char *argv[16] = {"git",
                            "fetch",
                            "--quiet",
                            "--prune",
                            "--no-tags",
                            "--no-auto-maintenance",
                            "--no-write-fetch-head",
                            "--no-recurse-submodules"};
    size_t n = 8;

    if (depth > 0) {
        snprintf(option, sizeof option, "--depth=%" PRIu32, depth);
        argv[n++] = option;
    }
    argv[n++] = "--";
    argv[n++] = upstream->url_text;
    argv[n++] = "+refs/*:refs/*";
    argv[n++] = "^" OWN_REFS;
    argv[n++] = "^" OWN_REFS "/*";
    return upstream_git(repo, argv, FETCH_TIMEOUT_MS, 0, result, err);
}

/* A git that was killed while it moved refs, which is done under the lock that we hold. */
static bool was_in_the_way(const char *repo, const struct proc_result *result)
{
    return words_have(result->err.data, ".lock': File exists") && sweep_ref_locks(repo) > 0;
}

static bool knows_no_depth(const struct proc_result *result)
{
    return strstr(result->err.data, "does not support shallow") != NULL;
}

/* `depth` 0: all of it; so, too, when the server does not know how to do less. */
static int fetch(const struct gate *gate, const struct upstream *upstream, const char *repo,
                 uint32_t depth, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    int r = run_fetch(upstream, repo, depth, &result, err);
    bool whole = r == 0 && result.exit_code != 0 && depth > 0 && knows_no_depth(&result);

    if (whole)
        depth = 0;
    if (whole || (r == 0 && result.exit_code != 0 && was_in_the_way(repo, &result))) {
        proc_result_done(&result);
        result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
        r = run_fetch(upstream, repo, depth, &result, err);
    }
    if (r < 0)
        return r;
    if (result.exit_code == 0)
        return 0;
    r = refuse(gate, upstream, "cannot fetch from the upstream", &result, err);
    return damage_suspected(result.err.data) ? -EUCLEAN : r;
}

/* ---- a first mirror ---- */

bool fetch_unfinished(const char *repo)
{
    char path[PATH_MAX];
    struct stat st;

    if (path_make(path, NULL, "%s/" SHALLOW_FILE, repo) < 0)
        return true;
    return stat(path, &st) == 0 ? st.st_size > 0 : errno != ENOENT;
}

/* Commits from each tip: so many are there, so many more are asked for. */
struct step {
    uint32_t have, more;
};

static bool parse_step(char *text, struct step *step)
{
    char *space = strchr(text, ' ');
    uint64_t have, more;

    if (!space)
        return false;
    *space = '\0';
    if (parse_u64(text, DEPTH_ALL - STEP_MIN, &have) < 0 ||
        parse_u64(space + 1, DEPTH_ALL - have, &more) < 0)
        return false;
    *step = (struct step){.have = (uint32_t)have, .more = (uint32_t)more};
    return true;
}

static bool read_step(const char *repo, struct step *step)
{
    cleanup_buf struct buf text = BUF_INIT(STEP_TEXT);
    char path[PATH_MAX];

    return path_make(path, NULL, "%s/" STEP_FILE, repo) == 0 && file_read(path, &text, NULL) == 0 &&
           parse_step(text.data, step);
}

/* Lost, it costs requests that bring nothing new. */
static void write_step(const char *repo, const struct step *step)
{
    char path[PATH_MAX], text[STEP_TEXT + 1];
    int len = snprintf(text, sizeof text, "%" PRIu32 " %" PRIu32, step->have, step->more);

    if (path_make(path, NULL, "%s/" STEP_FILE, repo) == 0)
        file_write(path, text, (size_t)len, 0600, NULL);
}

static void forget_step(const char *repo)
{
    char path[PATH_MAX];

    if (path_make(path, NULL, "%s/" STEP_FILE, repo) == 0)
        unlink(path);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* The first one; or, where one broke off, a smaller one from what was there before it. */
static struct step first_step(const char *repo)
{
    struct step step;

    if (!read_step(repo, &step))
        return (struct step){.more = STEP_FIRST};
    sweep_ref_locks(repo); /* the lock of its shallow file: a fetch would stop at it half-way */
    if (!fetch_unfinished(repo)) /* nothing is there to go on from */
        step.have = 0;
    step.more = larger(step.more / STEP_LESS, STEP_MIN);
    return step;
}

/* `step` was made. One that was made smaller grows back by and by. */
static struct step next_step(struct step step)
{
    uint32_t have = step.have + step.more, left = DEPTH_ALL - have;
    uint32_t usual = larger(have / 2, STEP_FIRST);

    return (struct step){
        .have = have,
        .more = smaller(step.more > usual / STEP_GROWTH ? usual : STEP_GROWTH * step.more, left),
    };
}

static int read_shallow(const char *repo, struct buf *to, struct error *err)
{
    char path[PATH_MAX];
    int r = path_make(path, err, "%s/" SHALLOW_FILE, repo);

    if (r == 0)
        r = file_read(path, to, NULL);
    return r == -ENOENT ? 0 : r < 0 ? error_errno(err, r, "the gate can't read its mirror") : 0;
}

static int take_step(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     const struct step *step, struct error *err)
{
    write_step(repo, step);
    return fetch(gate, upstream, repo, step->have + step->more, err);
}

/* ---- ends that no step moves ---- */

/* The ids of `ends` that are not in `gone`; both are lists of lines, which it takes apart. */
static int keep_others(char *ends, char *gone, struct buf *to)
{
    struct names known CLEANUP(names_done) = NAMES_INIT;
    char *save = NULL;
    int r = 0;

    for (char *id = strtok_r(gone, "\n", &save); id && r >= 0; id = strtok_r(NULL, "\n", &save))
        r = names_add(&known, id);
    for (char *id = r < 0 ? NULL : strtok_r(ends, "\n", &save); id && r >= 0;
         id = strtok_r(NULL, "\n", &save)) {
        r = names_add(&known, id);
        if (r == 1)
            buf_addf(to, "%s\n", id);
    }
    return r < 0 ? r : buf_error(to);
}

static int write_shallow(const char *repo, const struct buf *ends, struct error *err)
{
    char path[PATH_MAX];
    int r = path_make(path, err, "%s/" SHALLOW_FILE, repo);

    if (r < 0)
        return r;
    if (ends->len > 0)
        r = file_write(path, ends->data, ends->len, 0600, NULL);
    else
        r = unlink(path) < 0 ? -errno : 0;
    return r < 0 ? error_errno(err, r, "the gate can't write to its mirror") : 0;
}

/* Ends to which no ref leads any more, as the branch that did went from the upstream since: the
 * server says nothing of them, whatever is asked. `git prune` would drop them, too, but holds all
 * that is reachable in memory for it. 1 when there were any, else 0. */
static int drop_stale_ends(const char *repo, struct buf *ends, struct error *err)
{
    cleanup_proc struct proc_result stale = PROC_RESULT_INIT(SHALLOW_MAX, GIT_ERR_MAX);
    cleanup_buf struct buf kept = BUF_INIT(SHALLOW_MAX);
    int r = git_run(repo, NULL, GIT("rev-list", "--stdin", "--not", "--all"), ends->data, ends->len,
                    FETCH_TIMEOUT_MS, &stale, err);

    if (r < 0)
        return r;
    if (stale.exit_code != 0 || buf_error(&stale.out))
        return error_set(err, damage_suspected(stale.err.data) ? -EUCLEAN : -EIO,
                         "the gate can't read its mirror");
    if (stale.out.len == 0)
        return 0;
    r = keep_others(ends->data, stale.out.data, &kept);
    if (r < 0)
        return error_errno(err, r, "the gate can't read its mirror");
    r = write_shallow(repo, &kept, err);
    return r < 0 ? r : 1;
}

/* Where a deeper step does not move the ends of the history, they are the upstream's own, or stale.
 */
static int go_deeper(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     const struct step *step, struct error *err)
{
    cleanup_buf struct buf before = BUF_INIT(SHALLOW_MAX), after = BUF_INIT(SHALLOW_MAX);
    int r = read_shallow(repo, &before, err);

    if (r == 0)
        r = take_step(gate, upstream, repo, step, err);
    if (r == 0)
        r = read_shallow(repo, &after, err);
    if (r < 0 || after.len == 0)
        return r;
    if (before.len != after.len || memcmp(before.data, after.data, after.len) != 0)
        return 0;
    r = drop_stale_ends(repo, &after, err);
    if (r == 0)
        return error_set(err, -ENOTSUP,
                         "the upstream is a shallow clone itself, which the gate can't mirror: run "
                         "git fetch --unshallow there");
    return r < 0 ? r : 0;
}

static int fetch_in_steps(const struct gate *gate, const struct upstream *upstream,
                          const char *repo, struct error *err)
{
    struct step step = first_step(repo);
    int r = take_step(gate, upstream, repo, &step, err);

    while (r == 0 && fetch_unfinished(repo)) {
        step = next_step(step);
        r = go_deeper(gate, upstream, repo, &step, err);
    }
    if (r == 0)
        forget_step(repo);
    return r;
}

/* ---- all of it ---- */

/* What the upstream has deleted goes in one transaction. `git fetch --prune` makes one for each
 * ref, and reads packed-refs anew in each: 5,000 of 10,000 refs took a minute. What fails here is
 * tried there. */
static void prune(const char *repo, const struct refs *mine, const struct refs *theirs)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    cleanup_buf struct buf input = BUF_INIT(2 * GIT_OUT_MAX);

    if (refs_delete_gone(mine, theirs, &input) > 0 && !buf_error(&input))
        git_run(repo, NULL, GIT("update-ref", "--no-deref", "--stdin", "-z"), input.data, input.len,
                FETCH_TIMEOUT_MS, &result, NULL);
}

int fetch_all(const struct gate *gate, const struct upstream *upstream, const char *repo,
              const struct refs *mine, const struct refs *theirs, struct error *err)
{
    if (mine->n == 0 || fetch_unfinished(repo))
        return fetch_in_steps(gate, upstream, repo, err);
    prune(repo, mine, theirs);
    return fetch(gate, upstream, repo, 0, err);
}

int fetch_head(const struct gate *gate, const struct upstream *upstream, const char *repo,
               struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    int r = upstream_git(repo,
                         GIT("fetch", "--quiet", "--no-tags", "--no-auto-maintenance",
                             "--no-write-fetch-head", "--no-recurse-submodules", "--",
                             upstream->url_text, "HEAD"),
                         FETCH_TIMEOUT_MS, 0, &result, err);

    if (r < 0 || result.exit_code == 0)
        return r;
    r = refuse(gate, upstream, "cannot fetch the upstream's HEAD", &result, err);
    return damage_suspected(result.err.data) ? -EUCLEAN : r;
}
