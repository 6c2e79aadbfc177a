/* scan: git's pre-receive hook. Policy first, on the commands alone; then every new object.
 *
 * All or nothing: any exit code but 0 refuses the whole push. What goes wrong here refuses it, too,
 * and says that it was the scan that failed. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "base/parse.h"
#include "event.h"
#include "gate.h"
#include "git.h"
#include "lock.h"
#include "mirror/presence.h"
#include "mirror/source.h"
#include "policy.h"
#include "repo.h"
#include "scan/judge.h"
#include "scan/libarchive.h"
#include "scan/objects.h"
#include "scan/report.h"
#include "verbs.h"

#define REFUSALS_SHOWN 10
#define OPTIONS_MAX 100 /* push options of one push */
#define OPTIONS_BYTES_MAX (1u << 20)
#define RULES_LOGGED 20

struct scan {
    struct gate gate;
    const struct upstream *upstream;
    char repo[PATH_MAX];
    struct push push;
    struct walk walk;
    bool walked;        /* certain of what is new; else git has to tell */
    struct buf options; /* a line each */
    uint64_t started_ns;
};

static void scan_done(struct scan *s)
{
    walk_done(&s->walk);
    push_done(&s->push);
    buf_done(&s->options);
    gate_done(&s->gate);
}

__attribute__((format(printf, 1, 2))) static void tell(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
}

static void report(const struct scan *s, const char *result, json_t *rules)
{
    audit_scan(&s->gate, s->upstream->name, s->repo, &s->push, result, rules, s->started_ns);
}

/* ---- input ---- */

static int read_commands(struct push *push, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(PUSH_COMMANDS_BYTES_MAX);

    for (;;) {
        char *to = buf_reserve(&text, 4096);
        ssize_t n = to ? read(STDIN_FILENO, to, 4096) : -1;

        if (!to)
            return error_set(err, -E2BIG, "too many refs in one push; push them in parts");
        if (n < 0 && errno != EINTR)
            return error_errno(err, -errno, "cannot read the push's commands");
        if (n == 0)
            return push_parse(text.data, text.len, push, err);
        text.len += n > 0 ? (size_t)n : 0;
    }
}

/* githooks(5): GIT_PUSH_OPTION_COUNT and GIT_PUSH_OPTION_0... */
static int read_options(struct buf *options, struct error *err)
{
    const char *text = getenv("GIT_PUSH_OPTION_COUNT");
    uint64_t n;

    if (!text)
        return 0;
    if (parse_u64(text, OPTIONS_MAX, &n) < 0)
        return error_set(err, -E2BIG, "more than %d push options", OPTIONS_MAX);
    for (uint64_t i = 0; i < n; i++) {
        char key[64];
        const char *value;

        snprintf(key, sizeof key, "GIT_PUSH_OPTION_%" PRIu64, i);
        value = getenv(key);
        if (!value)
            return error_set(err, -EINVAL, "a push option got lost");
        buf_addf(options, "%s\n", value);
    }
    return buf_error(options) ? error_set(err, -E2BIG, "the push options are too long") : 0;
}

/* ---- policy ---- */

/* Whether the update takes nothing away. A tag that moves always does; so does what can't be
 * compared. */
static bool is_ahead(const struct scan *s, const struct push_command *command)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;

    if (strncmp(command->ref, "refs/heads/", 11) != 0)
        return false;
    if (s->walked && s->walk.ahead)
        return true;
    return child_env_quarantine(&env) == 0 &&
           git_run(s->repo, &env,
                   GIT("merge-base", "--is-ancestor", command->old_oid, command->new_oid), NULL, 0,
                   GIT_LOCAL_TIMEOUT_MS, &result, NULL) == 0 &&
           result.exit_code == 0;
}

static int judge_command(const struct scan *s, const struct policy *policy,
                         const struct push_command *command, struct error *err)
{
    int r = policy_judge(policy, command, err);

    if (r < 0 || !policy_needs_ancestry(policy, command) || is_ahead(s, command))
        return r;
    return policy_judge_forced(policy, command, err);
}

/* What the push was refused for, of which the client reads some. */
static void tell_refusal(size_t *refused, const struct error *err)
{
    if ((*refused)++ < REFUSALS_SHOWN)
        tell("gitgate: %s\n", err->msg);
}

static void judge_options(const struct scan *s, const struct policy *policy, size_t *refused)
{
    for (const char *line = s->options.data, *end; line && *line; line = end + 1) {
        cleanup_free char *option = NULL;
        struct error err = ERROR_INIT;

        end = strchr(line, '\n');
        option = strndup(line, (size_t)(end - line));
        if (!option)
            error_errno(&err, -ENOMEM, "cannot read the push options");
        if (!option || policy_judge_option(policy, option, &err) < 0)
            tell_refusal(refused, &err);
    }
}

/* 0 when all of the push is allowed; 1 when each refusal has been told. */
static int judge_policy(const struct scan *s, struct error *err)
{
    char head[PUSH_REF_MAX + 1];
    struct policy policy = {
        .push = &s->upstream->push,
        .default_ref = head,
        .vars = {.pod_name = getenv("POD_NAME"),
                 .pod_namespace = getenv("POD_NAMESPACE"),
                 .service_account = getenv("SERVICE_ACCOUNT")},
    };
    size_t refused = 0;
    int r = repo_head(s->repo, head, sizeof head);

    if (r < 0) /* or no branch would be the default one, which is never forced */
        return error_errno(err, r, "cannot read the mirror's HEAD");
    for (size_t i = 0; i < s->push.n; i++) {
        struct error why = ERROR_INIT;

        if (judge_command(s, &policy, &s->push.commands[i], &why) < 0)
            tell_refusal(&refused, &why);
    }
    judge_options(s, &policy, &refused);
    if (refused > REFUSALS_SHOWN)
        tell("gitgate: and %zu more\n", refused - REFUSALS_SHOWN);
    if (refused)
        report(s, "denied", NULL);
    return refused > 0;
}

/* ---- secrets ---- */

static void report_findings(const struct scan *s, const struct findings *findings)
{
    json_t *rules = json_array();

    for (size_t i = 0; i < findings->n && i < RULES_LOGGED; i++)
        json_array_append_new(rules, json_string(findings->list[i].rule));
    report(s, "secret", rules);
}

static void tell_findings(const struct findings *findings)
{
    cleanup_buf struct buf text = BUF_INIT(256u << 10);

    findings_print(findings, &text);
    tell("%s", text.data);
}

/* What a scan is made of, from the push to the verdicts. */
struct work {
    struct workdir dir;
    struct rulebook book;
    struct clean clean;
    struct dissection dissection;
    struct objects *objects;
    struct judge *judge;
    struct find *find;
    struct verdicts verdicts;
    struct findings findings;
};

static void work_done(struct work *w)
{
    findings_done(&w->findings);
    verdicts_done(&w->verdicts);
    find_free(w->find);
    judge_free(w->judge);
    objects_free(w->objects);
    clean_done(&w->clean);
    rulebook_done(&w->book);
    workdir_done(&w->dir);
}

/* Finds in everything that is new; what may be a secret lies with the judge then. */
static int look_through(const struct scan *s, struct work *w, uint64_t deadline_ns,
                        struct error *err)
{
    int r = workdir_init(s->gate.repos_dir, &w->dir, err);

    if (r == 0)
        r = rulebook_open(&s->gate, &w->book, err);
    if (r == 0)
        r = judge_new(&w->dir, &w->judge, err);
    if (r == 0)
        r = find_new(w->book.sets, w->book.n, judge_take, w->judge, &w->find, err);
    if (r < 0)
        return r;
    clean_open(&s->gate, &w->book, &w->clean);
    w->dissection = (struct dissection){.take = find_piece,
                                        .data = w->find,
                                        .dir = &w->dir,
                                        .budget = {.members = DISSECT_MEMBERS_MAX,
                                                   .bytes = DISSECT_BYTES_MAX,
                                                   .deadline_ns = deadline_ns}};
    return objects_take_apart(s->repo, &s->push, s->walked ? &s->walk : NULL, &s->options,
                              &w->clean, &w->dissection, &w->objects, err);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Objects with a finding, sorted. */
struct flagged {
    const char **ids;
    size_t n;
    struct clean *clean;
};

static void remember_object(void *data, char *object)
{
    const struct flagged *flagged = data;
    char id[OID_HEX_MAX + 1];
    const char *key = id;

    snprintf(id, sizeof id, "%.*s", (int)strcspn(object, " "), object);
    if (!bsearch(&key, flagged->ids, flagged->n, sizeof key, compare_ids))
        clean_add(flagged->clean, object,
                  libarchive_loaded() ? CLEAN_BY_LIBARCHIVE : CLEAN_AS_IT_IS);
}

/* What no finding is in, allowed or not, is clean. A name is looked at once, though several trees
 * may hold it: with a finding in one nothing is known of the others. */
static void remember(struct work *w)
{
    struct flagged flagged = {.clean = &w->clean,
                              .ids = calloc(w->verdicts.n + 1, sizeof *flagged.ids)};
    bool name = false;

    for (size_t i = 0; flagged.ids && i < w->verdicts.n; i++) {
        flagged.ids[flagged.n++] = w->verdicts.list[i].origin->object;
        name = name || w->verdicts.list[i].origin->place == PLACE_NAME;
    }
    if (flagged.ids && !name) {
        qsort(flagged.ids, flagged.n, sizeof *flagged.ids, compare_ids);
        objects_each(w->objects, remember_object, &flagged);
    }
    free(flagged.ids);
}

/* Part after part, until all is judged, or more is found than a refusal shows. */
static int judge_all(const struct scan *s, struct work *w, uint64_t deadline_ns, struct error *err)
{
    while (!w->findings.more) {
        int r = judge_next(w->judge, &w->book, deadline_ns, &w->verdicts, err);

        if (r <= 0)
            return r;
        r = findings_take(w->judge, &w->verdicts, w->objects, &s->gate.spec.scan, deadline_ns,
                          &w->findings, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The number of findings, or negative when the scan failed. */
static int scan_content(const struct scan *s, struct error *err)
{
    uint64_t deadline_ns = clock_now_ns() + s->gate.spec.scan.timeout_ms * 1000000u;
    struct work w CLEANUP(work_done) = {0};
    int r = look_through(s, &w, deadline_ns, err);

    if (r == 0)
        r = judge_all(s, &w, deadline_ns, err);
    if (r == 0 && judge_done(w.judge))
        remember(&w);
    if (r < 0 || w.findings.n == 0)
        return r;
    findings_confirm(w.judge, &w.verdicts, w.objects, &w.findings);
    tell_findings(&w.findings);
    report_findings(s, &w.findings);
    return 1;
}

static bool nothing_to_scan(const struct scan *s)
{
    for (size_t i = 0; i < s->push.n; i++)
        if (s->push.commands[i].change != CHANGE_DELETE)
            return false;
    return s->options.len == 0;
}

static int fail(const struct scan *s, const struct error *err)
{
    log_error(
        &s->gate.log, "scan failed",
        json_pack("{s:s, s:s}", "repo", s->upstream ? s->upstream->name : "", "error", err->msg));
    if (s->upstream)
        report(s, "scan-failed", NULL);
    if (err->code == -EFBIG || err->code == -E2BIG)
        tell("gitgate: push refused: %s\n", err->msg);
    else if (err->code == -ENOSPC || err->code == -EDQUOT)
        tell(
            "gitgate: push refused: the gate's disk is full, so the push could not be scanned. Try "
            "again later, or push less at once.\n");
    else if (err->code == -ETIMEDOUT)
        tell("gitgate: push refused: the scanner failed: it took longer than spec.scan.timeout. "
             "This does not mean that a secret was found.\n");
    else
        tell("gitgate: push refused: the scanner failed; the gate's log says why. This does not "
             "mean that a secret was found.\n");
    return 1;
}

/* What is known is what the mirror has of the upstream: of no other, and not of one that was taken
 * away while we looked. */
static bool is_stale(const struct scan *s)
{
    struct error err = ERROR_INIT;

    if (source_check(&s->gate, s->upstream, s->repo, &err) == 0)
        return false;
    tell("gitgate: push refused: %s\n", err.msg);
    report(s, "denied", NULL);
    return true;
}

/* ---- the verb ---- */

static int prepare(struct scan *s, struct error *err)
{
    int r = gate_open(&s->gate, err);

    if (r == 0)
        r = gate_load(&s->gate, err);
    if (r == 0 && !(s->upstream = gate_upstream_at(&s->gate, ".", s->repo, err)))
        r = -ENOENT;
    if (r == 0)
        r = read_commands(&s->push, err);
    return r < 0 ? r : read_options(&s->options, err);
}

int verb_scan(int argc, char **argv)
{
    struct scan s CLEANUP(scan_done) = {.started_ns = clock_now_ns(),
                                        .options = BUF_INIT(OPTIONS_BYTES_MAX)};
    struct error err = ERROR_INIT;
    int r;

    (void)argc;
    (void)argv;
    if (prepare(&s, &err) < 0)
        return fail(&s, &err);
    if (is_stale(&s))
        return 1;
    event_send(&s.gate, "received", s.started_ns, json_object()); /* who sent it waits for us now */
    s.walked = walk_push(s.repo, &s.push, &s.walk);
    r = judge_policy(&s, &err);
    if (r > 0)
        return 1;
    if (r == 0 && !nothing_to_scan(&s))
        r = scan_content(&s, &err);
    if (r <= 0 && is_stale(&s))
        return 1;
    if (r == 0)
        r = presence_agree(&s.gate, &err);
    if (r < 0)
        return fail(&s, &err);
    if (r == 0)
        report(&s, "ok", NULL);
    return r;
}
