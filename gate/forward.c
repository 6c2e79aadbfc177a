/* forward: git's proc-receive hook (githooks(5)). Scanned and allowed already; now each ref goes to
 * the upstream, and moves here only where it moved there.
 *
 * The lease pins the value that the client's command was made for: a ref that moved upstream in the
 * meantime stays as it is. A lease also lets git force; that an update is ahead of the old value,
 * where it has to be, was judged in scan for this very pair of values. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "event.h"
#include "gate.h"
#include "git.h"
#include "lock.h"
#include "mirror/backup.h"
#include "mirror/presence.h"
#include "mirror/source.h"
#include "pktline.h"
#include "policy.h"
#include "pushed.h"
#include "reason.h"
#include "upstream.h"
#include "verbs.h"

#define INPUT_MAX (2 * PUSH_COMMANDS_BYTES_MAX)
#define OPTIONS_MAX 100 /* push options of one push */
#define LOCK_TIMEOUT_MS 300000
/* The pack is here already: this is the upload and the upstream's own hooks. A silent network is
 * noticed in seconds, see mirror.c. */
#define PUSH_TIMEOUT_MS 1800000
/* https: while the upstream's hooks run nothing comes, as proxies keep git's keepalives to
 * themselves. Broken off, the push would be refused here and land there. */
#define HTTPS_SILENT "http.lowSpeedTime=600"
#define SAID_SHOWN 2000
/* Of the refs of one push, asked by name, and of what else ends in these names. */
#define LISTED_MAX (4 * PUSH_COMMANDS_BYTES_MAX)
/* A login over a bad line; https gives a host that does not answer no less. */
#define LIST_TIMEOUT_MS 30000

/* The conversation with receive-pack, and what it brought. */
struct forward {
    struct gate gate;
    const struct upstream *upstream;
    char repo[PATH_MAX];
    struct buf in;
    size_t at; /* of `in`, read so far */
    bool atomic, wants_options;
    struct push push;
    char *options[OPTIONS_MAX];
    size_t n_options;
    struct pushed *pushed; /* a command each */
};

static void forward_done(struct forward *f)
{
    for (size_t i = 0; i < f->n_options; i++)
        free(f->options[i]);
    free(f->pushed);
    push_done(&f->push);
    buf_done(&f->in);
    gate_done(&f->gate);
}

/* ---- the protocol ---- */

static int fill(struct forward *f, struct error *err)
{
    char *to = buf_reserve(&f->in, 4096);
    ssize_t n;

    if (!to)
        return error_set(err, -E2BIG, "receive-pack sent too much");
    do
        n = read(STDIN_FILENO, to, 4096);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return error_set(err, -EPIPE, "receive-pack ended early");
    f->in.len += (size_t)n;
    f->in.data[f->in.len] = '\0';
    return 0;
}

static int next_packet(struct forward *f, struct pkt *pkt, struct error *err)
{
    for (;;) {
        int r;

        *pkt = pkt_parse(f->in.data + f->at, f->in.len - f->at);
        if (pkt->kind == PKT_INVALID)
            return error_set(err, -EPROTO, "receive-pack sent no packet");
        if (pkt->kind != PKT_MORE) {
            f->at += pkt->used;
            return 0;
        }
        r = fill(f, err);
        if (r < 0)
            return r;
    }
}

/* Calls `take` for each packet up to the flush. */
static int each_packet(struct forward *f,
                       int (*take)(struct forward *f, const struct pkt *pkt, struct error *err),
                       struct error *err)
{
    struct pkt pkt;
    int r = next_packet(f, &pkt, err);

    while (r == 0 && pkt.kind == PKT_DATA) {
        r = take(f, &pkt, err);
        if (r == 0)
            r = next_packet(f, &pkt, err);
    }
    return r;
}

static int send_all(const struct buf *out, struct error *err)
{
    int r = file_write_all(STDOUT_FILENO, out->data, out->len);

    if (r == 0)
        r = buf_error(out);
    return r < 0 ? error_errno(err, r, "cannot answer receive-pack") : 0;
}

/* "version=1\0push-options atomic": what the client negotiated is what is announced. */
static int take_version(struct forward *f, const struct pkt *pkt, struct error *err)
{
    static const char version[] = "version=1";
    cleanup_buf struct buf features = BUF_INIT(PKT_PAYLOAD_MAX);
    size_t len = sizeof version - 1;

    if (pkt->len < len || memcmp(pkt->data, version, len) != 0 ||
        (pkt->len > len && pkt->data[len] != '\0'))
        return error_set(err, -EPROTO, "receive-pack speaks another version");
    buf_addc(&features, ' ');
    if (pkt->len > len)
        buf_add(&features, pkt->data + len + 1, pkt->len - len - 1);
    buf_addc(&features, ' ');
    f->atomic = strstr(features.data, " atomic ");
    f->wants_options = strstr(features.data, " push-options ");
    return buf_error(&features);
}

static int greet(struct forward *f, struct error *err)
{
    cleanup_buf struct buf out = BUF_INIT(PKT_PAYLOAD_MAX), line = BUF_INIT(64);
    int r = each_packet(f, take_version, err);

    if (r < 0)
        return r;
    buf_add(&line, "version=1", 10); /* with its NUL */
    buf_adds(&line, f->wants_options ? "push-options " : "");
    buf_adds(&line, f->atomic ? "atomic" : "");
    pkt_add(&out, line.data, line.len);
    pkt_flush(&out);
    return send_all(&out, err);
}

static int take_command(struct forward *f, const struct pkt *pkt, struct error *err)
{
    return push_add(&f->push, pkt->data, pkt->len, err);
}

static int take_option(struct forward *f, const struct pkt *pkt, struct error *err)
{
    if (f->n_options == OPTIONS_MAX)
        return error_set(err, -E2BIG, "more than %d push options", OPTIONS_MAX);
    if (asprintf(&f->options[f->n_options], "--push-option=%.*s", (int)pkt->len, pkt->data) < 0)
        return error_errno(err, -ENOMEM, "cannot read the push options");
    f->n_options++;
    return 0;
}

static int read_request(struct forward *f, struct error *err)
{
    int r = greet(f, err);

    if (r == 0)
        r = each_packet(f, take_command, err);
    if (r == 0 && f->wants_options)
        r = each_packet(f, take_option, err);
    return r;
}

static int answer(const struct forward *f, struct error *err)
{
    cleanup_buf struct buf out = BUF_INIT(INPUT_MAX + PUSH_COMMANDS_MAX * PUSHED_REASON_MAX);

    for (size_t i = 0; i < f->push.n; i++) {
        const char *ref = f->push.commands[i].ref;

        if (f->pushed[i].state == PUSHED_TAKEN)
            pkt_addf(&out, "ok %s", ref);
        else
            pkt_addf(&out, "ng %s %s", ref, f->pushed[i].reason);
    }
    pkt_flush(&out);
    return send_all(&out, err);
}

static void refuse_all(struct forward *f, const char *reason)
{
    for (size_t i = 0; i < f->push.n; i++) {
        f->pushed[i].state = PUSHED_REFUSED;
        snprintf(f->pushed[i].reason, PUSHED_REASON_MAX, "%.*s", PUSHED_REASON_MAX - 1, reason);
    }
}

/* ---- the push ---- */

/* An argument list that owns its strings. */
struct args {
    char **list;
    size_t n;
};

static void args_done(struct args *args)
{
    for (size_t i = 0; i < args->n; i++)
        free(args->list[i]);
    free(args->list);
}

__attribute__((format(printf, 2, 3))) static int args_add(struct args *args, const char *fmt, ...)
{
    char **list = realloc(args->list, (args->n + 2) * sizeof *list);
    va_list ap;
    int len;

    if (!list)
        return -ENOMEM;
    args->list = list;
    va_start(ap, fmt);
    len = vasprintf(&list[args->n], fmt, ap);
    va_end(ap);
    if (len >= 0)
        args->n++;
    list[args->n] = NULL;
    return len < 0 ? -ENOMEM : 0;
}

static int args_add_all(struct args *args, const char *const *list)
{
    int r = 0;

    for (; r == 0 && *list; list++)
        r = args_add(args, "%s", *list);
    return r;
}

static bool all_zero(const char *oid)
{
    return oid[strspn(oid, "0")] == '\0';
}

/* "<id>^{object}": a bare id would be the branch of that name, if there is one (git push looks for
 * a ref first), and something else would be pushed than what was scanned. */
static int compose(const struct forward *f, struct args *args)
{
    static const char *const start[] = {"git",
                                        "-c",
                                        HTTPS_SILENT,
                                        "push",
                                        "--porcelain",
                                        "--no-verify",
                                        "--no-recurse-submodules",
                                        "--no-follow-tags",
                                        "--no-signed",
                                        NULL};
    int r = args_add_all(args, start);

    if (r == 0 && f->atomic)
        r = args_add(args, "--atomic");
    for (size_t i = 0; r == 0 && i < f->n_options; i++)
        r = args_add(args, "%s", f->options[i]);
    for (size_t i = 0; r == 0 && i < f->push.n; i++)
        r = args_add(args, "--force-with-lease=%s:%s", f->push.commands[i].ref,
                     all_zero(f->push.commands[i].old_oid) ? "" : f->push.commands[i].old_oid);
    if (r == 0)
        r = args_add(args, "--");
    if (r == 0)
        r = args_add(args, "%s", f->upstream->url_text);
    for (size_t i = 0; r == 0 && i < f->push.n; i++) {
        const struct push_command *c = &f->push.commands[i];

        r = c->change == CHANGE_DELETE ? args_add(args, ":%s", c->ref)
                                       : args_add(args, "%s^{object}:%s", c->new_oid, c->ref);
    }
    return r;
}

/* ---- git's answer ---- */

/* The upstream's own words to whoever pushes; receive-pack hands our standard error on. */
static void pass_on_words(const struct buf *err)
{
    for (const char *line = err->data, *end; *line; line = *end ? end + 1 : end) {
        cleanup_buf struct buf text = BUF_INIT(GIT_ERR_MAX);

        end = line + strcspn(line, "\n\r");
        if (strncmp(line, "remote: ", 8) != 0)
            continue;
        printable(&text, line + 8, (size_t)(end - line - 8));
        fprintf(stderr, "%s\n", text.data);
    }
}

static void log_words(const struct forward *f, const struct proc_result *result)
{
    cleanup_buf struct buf said = BUF_INIT(SAID_SHOWN);

    printable(&said, result->err.data, result->err.len < SAID_SHOWN ? result->err.len : SAID_SHOWN);
    log_warn(&f->gate.log, "the push to the upstream did not go through",
             json_pack("{s:s, s:i, s:b, s:s}", "repo", f->upstream->name, "exit", result->exit_code,
                       "timed_out", result->timed_out, "said", said.data));
}

/* What a push that did not go through has come to, the upstream's refs say. */
static void ask_upstream(struct forward *f, const char *why)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(LISTED_MAX, GIT_ERR_MAX);
    struct args args CLEANUP(args_done) = {0};
    int r = args_add_all(&args, (const char *const[]){"git", "ls-remote", "--refs", "--",
                                                      f->upstream->url_text, NULL});
    bool known;

    for (size_t i = 0; r == 0 && i < f->push.n; i++)
        r = args_add(&args, "%s", f->push.commands[i].ref);
    known = r == 0 &&
            upstream_git(f->repo, (const char *const *)args.list, LIST_TIMEOUT_MS, 0, &result,
                         NULL) == 0 &&
            result.exit_code == 0 && !buf_error(&result.out);
    pushed_settle(&f->push, known ? result.out.data : NULL, why, f->pushed);
}

static int push_upstream(struct forward *f, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_OUT_MAX, GIT_ERR_MAX);
    cleanup_buf struct buf why = BUF_INIT(PUSHED_REASON_MAX - 1);
    struct args args CLEANUP(args_done) = {0};
    int r = compose(f, &args);

    if (r < 0)
        return error_errno(err, r, "cannot push");
    r = upstream_git(f->repo, (const char *const *)args.list, PUSH_TIMEOUT_MS, 0, &result, err);
    if (r < 0)
        return r;
    pushed_read(&f->push, result.out.data, f->pushed);
    pass_on_words(&result.err);
    if (result.exit_code != 0)
        log_words(f, &result);
    if (!pushed_all(&f->push, f->pushed)) {
        reason_add(&why, f->upstream, gate_upstream_index(&f->gate, f->upstream), &result);
        ask_upstream(f, why.data);
    }
    return 0;
}

/* ---- the gate's own refs ---- */

/* The upstream's value is known: ours becomes the same, whatever it was. Where that fails the next
 * refresh does it; the client is told what the upstream did. */
static void move_refs(const struct forward *f)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    cleanup_buf struct buf input = BUF_INIT(INPUT_MAX);
    struct error err = ERROR_INIT;
    int r;

    for (size_t i = 0; i < f->push.n; i++) {
        const struct push_command *c = &f->push.commands[i];

        if (f->pushed[i].state != PUSHED_TAKEN)
            continue;
        buf_adds(&input, c->change == CHANGE_DELETE ? "delete " : "update ");
        buf_adds(&input, c->ref);
        buf_addc(&input, '\0');
        if (c->change != CHANGE_DELETE) {
            buf_adds(&input, c->new_oid);
            buf_addc(&input, '\0');
        }
        buf_addc(&input, '\0'); /* no old value: not verified */
    }
    if (input.len == 0)
        return;
    r = git_run(f->repo, NULL, GIT("update-ref", "--no-deref", "--stdin", "-z"), input.data,
                input.len, GIT_LOCAL_TIMEOUT_MS, &result, &err);
    if (r < 0 || result.exit_code != 0)
        log_warn(&f->gate.log, "the upstream took a push but the mirror's refs did not move",
                 json_pack("{s:s, s:s}", "repo", f->upstream->name, "error",
                           r < 0 ? err.msg : "git update-ref failed"));
}

/* ---- the verb ---- */

/* The refs that the upstream refused, and why, for as long as there is room in a line. */
static json_t *list_refused(const struct forward *f, size_t *n)
{
    json_t *list = json_object();
    size_t bytes = 0;

    *n = 0;
    for (size_t i = 0; i < f->push.n; i++) {
        cleanup_buf struct buf ref = BUF_INIT(PUSH_REF_MAX);

        if (f->pushed[i].state == PUSHED_TAKEN)
            continue;
        ++*n;
        printable(&ref, f->push.commands[i].ref, strlen(f->push.commands[i].ref));
        bytes += 2 * (ref.len + strlen(f->pushed[i].reason));
        if (bytes <= PUSH_LISTED_MAX)
            json_object_set_new(list, ref.data, json_string(f->pushed[i].reason));
    }
    return list;
}

static void report(const struct forward *f, uint64_t started_ns)
{
    size_t n;
    json_t *refused = list_refused(f, &n);

    event_send(&f->gate, "forward", started_ns,
               json_pack("{s:s, s:s, s:I, s:o}", "result",
                         n == 0           ? "ok"
                         : n == f->push.n ? "upstream"
                                          : "partial",
                         "repo", f->upstream->name, "refused_refs", (json_int_t)n, "refused",
                         refused));
}

static int forward(struct forward *f, struct error *err)
{
    struct backup backup = {.second = (uint64_t)time(NULL),
                            .gate = &f->gate,
                            .repo = f->repo,
                            .push = &f->push,
                            .force = f->upstream->push.allow_force};
    cleanup_close int lock = -1;
    int r;

    if (!presence_agreed(&f->gate))
        return error_set(err, -EACCES,
                         "the gate has not scanned this push: its pre-receive hook is missing");
    r = lock_take(f->repo, LOCK_TIMEOUT_MS, &lock, err);
    /* It may have been waited for: where the push goes to is what it was scanned for, and whoever
     * closed the upstream meanwhile meant this push, too. */
    if (r == 0)
        r = gate_load_again(&f->gate, &f->upstream, err);
    if (r == 0 && !f->upstream->push.allow)
        r = error_set(err, -EACCES, "this upstream is read-only here (push.policy is Deny)");
    if (r == 0)
        r = source_check(&f->gate, f->upstream, f->repo, err);
    if (r == 0)
        r = upstream_prepare(&f->gate, f->upstream, f->repo, err);
    if (r == 0)
        r = backup_make(&backup, err);
    if (r == 0)
        r = push_upstream(f, err);
    if (r == 0)
        move_refs(f);
    return r;
}

int verb_forward(int argc, char **argv)
{
    struct forward f CLEANUP(forward_done) = {.in = BUF_INIT(INPUT_MAX)};
    uint64_t started_ns = clock_now_ns();
    struct error err = ERROR_INIT;
    int r;

    (void)argc;
    (void)argv;
    r = gate_open(&f.gate, &err);
    if (r == 0)
        r = gate_load(&f.gate, &err);
    if (r == 0 && !(f.upstream = gate_upstream_at(&f.gate, ".", f.repo, &err)))
        r = -ENOENT;
    if (r == 0)
        r = read_request(&f, &err);
    if (r == 0 && !(f.pushed = calloc(f.push.n + 1, sizeof *f.pushed)))
        r = error_errno(&err, -ENOMEM, "cannot forward the push");
    if (r < 0) {
        log_error(&f.gate.log, "cannot forward", json_pack("{s:s}", "error", err.msg));
        fputs("gitgate: the gate could not forward this push; its log says why\n", stderr);
        return 1;
    }
    r = forward(&f, &err);
    if (r < 0)
        refuse_all(&f, err.msg);
    report(&f, started_ns);
    return answer(&f, &err) < 0;
}
