#include "examine.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "fingerprints.h"
#include "git.h"
#include "policy.h"
#include "reach.h"
#include "repo.h"
#include "upstream.h"

#define LOCAL_TIMEOUT_MS 10000
/* A login of 15 round trips over a bad line, and a list of refs. */
#define ASK_TIMEOUT_MS 30000
#define SCAN_TIMEOUT_MS 10000
#define SCAN_TIMEOUT "5" /* seconds, for each connection that ssh-keyscan makes */
#define KNOWN_HOSTS_MAX (1u << 20)
#define OUT_MAX (64u << 20)
#define SCAN_MAX (64u << 10)

struct examination {
    const struct gate *gate;
    const struct upstream *upstream;
    const char *address; /* of extraHosts, or NULL */
    char repo[PATH_MAX];
    struct finding *finding;
};

static void fail_here(struct examination *x, enum fault fault, const struct error *err)
{
    if (x->finding->fault != FAULT_NONE)
        return;
    x->finding->fault = fault;
    buf_adds(&x->finding->what, err->msg);
}

/* ---- what is here ---- */

static void prepare(struct examination *x)
{
    struct error err = ERROR_INIT;

    if (repo_ensure(x->gate, x->upstream, &err) < 0 ||
        gate_repo_path(x->gate, x->upstream, x->repo, &err) < 0)
        fail_here(x, FAULT_GATE, &err);
    else if (upstream_prepare(x->gate, x->upstream, x->repo, &err) < 0)
        fail_here(x, FAULT_CREDENTIAL, &err);
}

/* The passphrase that is given is the empty one. */
static void look_at_key(struct examination *x)
{
    static const char *const argv[] = {"ssh-keygen", "-y", "-P", "", "-f", OWN_DIR "/key", NULL};
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(SCAN_MAX, GIT_ERR_MAX);
    struct error err = ERROR_INIT;

    if (git_run(x->repo, NULL, argv, NULL, 0, LOCAL_TIMEOUT_MS, &result, &err) < 0)
        fail_here(x, FAULT_GATE, &err);
    else
        finding_key(x->finding, &result);
}

/* ---- the connection ---- */

static void connect_to(struct examination *x)
{
    char ca[PATH_MAX];
    struct reach found;

    if (path_make(ca, NULL, "%s/" OWN_DIR "/ca.crt", x->repo) < 0)
        return;
    reach(&x->upstream->url, x->address, x->upstream->ca_config_map ? ca : NULL, &found);
    finding_reach(x->finding, &found, x->address);
}

/* What the host shows and what is pinned, so that a person can compare. */
static void show_host_keys(struct examination *x)
{
    const struct url *url = &x->upstream->url;
    const char *host = x->address ? x->address : url->host;
    cleanup_proc struct proc_result shown = PROC_RESULT_INIT(SCAN_MAX, GIT_ERR_MAX);
    cleanup_buf struct buf pinned = BUF_INIT(KNOWN_HOSTS_MAX);
    struct buf *to = &x->finding->detail;
    char port[8], path[PATH_MAX];
    const char *const argv[] = {"ssh-keyscan", "-T", SCAN_TIMEOUT, "-p", port, "--", host, NULL};

    snprintf(port, sizeof port, "%u", url->port);
    if (git_run(x->repo, NULL, argv, NULL, 0, SCAN_TIMEOUT_MS, &shown, NULL) < 0 ||
        path_make(path, NULL, "%s/" OWN_DIR "/known_hosts", x->repo) < 0 ||
        file_read(path, &pinned, NULL) < 0)
        return;
    buf_adds(to, "it shows ");
    if (!fingerprints_add(to, shown.out.data, FINGERPRINTS_HOSTS))
        buf_adds(to, "none to ssh-keyscan");
    buf_adds(to, "; pinned is ");
    if (!fingerprints_add(to, pinned.data, FINGERPRINTS_HOSTS))
        buf_adds(to, "nothing that can be read");
}

/* ---- git ---- */

static size_t count_lines(const struct buf *text)
{
    size_t n = 0;

    for (const char *p = text->data; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static void list_refs(struct examination *x)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(OUT_MAX, GIT_ERR_MAX);
    struct error err = ERROR_INIT;

    if (upstream_git(x->repo, GIT("ls-remote", "--refs", "--", x->upstream->url_text),
                     ASK_TIMEOUT_MS, 0, &result, &err) < 0) {
        fail_here(x, FAULT_GATE, &err);
        return;
    }
    if (result.exit_code != 0) {
        finding_git(x->finding, &result);
        if (x->finding->fault == FAULT_HOST_KEY)
            show_host_keys(x);
        return;
    }
    if (x->upstream->auth == AUTH_SSH)
        finding_pass(x->finding, "host key");
    finding_pass(x->finding, "repository (%zu refs)", count_lines(&result.out));
}

/* A commit of nothing, in the repository that was made for this. "" when git can't. */
static void make_commit(const struct examination *x, char to[OID_HEX_MAX + 1])
{
    /* The empty tree, which git knows without its being there (SHA-1: repo_ensure makes no other).
     */
    static const char tree[] = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);

    to[0] = '\0';
    if (git_run(x->repo, NULL,
                GIT("-c", "user.name=gitgate", "-c", "user.email=gitgate@invalid", "commit-tree",
                    "-m", "gitgate check", tree),
                NULL, 0, LOCAL_TIMEOUT_MS, &result, NULL) == 0 &&
        result.exit_code == 0)
        snprintf(to, OID_HEX_MAX + 1, "%.*s", (int)strcspn(result.out.data, "\n"), result.out.data);
}

/* A dry run ends before a ref or an object is sent. What it tells is that the upstream lets this
 * credential begin a push; rules for branches show only at a real one. */
static void begin_push(struct examination *x)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    struct error err = ERROR_INIT;
    char commit[OID_HEX_MAX + 1], spec[OID_HEX_MAX + 64];

    make_commit(x, commit);
    snprintf(spec, sizeof spec, "%s:refs/heads/gitgate-check", commit);
    if (!*commit)
        finding_fail(x->finding, FAULT_GATE, "git can't make a commit here");
    else if (upstream_git(x->repo,
                          GIT("push", "--dry-run", "--quiet", "--no-verify", "--",
                              x->upstream->url_text, spec),
                          ASK_TIMEOUT_MS, 0, &result, &err) < 0)
        fail_here(x, FAULT_GATE, &err);
    else if (result.exit_code != 0)
        finding_push(x->finding, &result);
    else
        finding_pass(x->finding, "a push may begin");
}

/* ---- all of it ---- */

void examine(const struct gate *gate, const struct upstream *upstream, struct finding *ret)
{
    static const struct {
        void (*run)(struct examination *x);
        bool ssh_only, push_only;
    } steps[] = {
        {.run = prepare},   {.run = look_at_key, .ssh_only = true}, {.run = connect_to},
        {.run = list_refs}, {.run = begin_push, .push_only = true},
    };
    struct examination x = {.gate = gate,
                            .upstream = upstream,
                            .address = upstream_address(gate, upstream),
                            .finding = ret};

    for (size_t i = 0; ret->fault == FAULT_NONE && i < sizeof steps / sizeof *steps; i++)
        if ((!steps[i].ssh_only || upstream->auth == AUTH_SSH) &&
            (!steps[i].push_only || upstream->push.allow))
            steps[i].run(&x);
}
