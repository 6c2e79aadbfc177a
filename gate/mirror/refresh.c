/* refresh SERVICE REPOSITORY [HOST CANONHOST IP PORT]: git daemon's access hook.
 *
 * Of the clients that arrive while a refresh runs, all share the next one: it started after they
 * connected, so nobody gets what is older than the start of what they ran. A failure is shared in
 * the same way. The first line on standard output is what a refused client reads (git-daemon(1),
 * --access-hook). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "event.h"
#include "gate.h"
#include "lock.h"
#include "mirror/mirror.h"
#include "mirror/presence.h"
#include "mirror/source.h"
#include "policy.h"
#include "verbs.h"

/* Behind a first mirror, whose own limit is half an hour. */
#define LOCK_TIMEOUT_MS 1860000

struct request {
    const char *service; /* "upload-pack", "receive-pack", or "mirror": our own, at start */
    const char *path;    /* of the repository, or of a link to it */
    const char *client;
    uint64_t arrived_ns;
};

/* What came of it, for the log. */
struct outcome {
    bool denied, shared, changed;
    uint64_t asked_ns; /* when the upstream was asked; 0: it was not */
};

static int judge_service(const struct upstream *upstream, const char *service, struct error *err)
{
    if (strcmp(service, "upload-pack") == 0) {
        if (!upstream->fetch_allow)
            return error_set(err, -EACCES,
                             "fetching from this upstream is not allowed here (fetch.policy is "
                             "Deny)");
        return 0;
    }
    if (strcmp(service, "receive-pack") == 0) {
        if (!upstream->push.allow)
            return error_set(err, -EACCES, "this upstream is read-only here (push.policy is Deny)");
        return 0;
    }
    return strcmp(service, "mirror") == 0
               ? 0
               : error_set(err, -EACCES, "the gate does not offer this service");
}

/* Who asks waited for the lock, perhaps for minutes: what the GitGate says now counts. */
static int judge_again(struct gate *gate, const struct upstream **upstream,
                       const struct request *request, struct outcome *outcome, struct error *err)
{
    int r = gate_load_again(gate, upstream, err);

    if (r == 0)
        r = judge_service(*upstream, request->service, err);
    outcome->denied = r < 0;
    return r;
}

static int ask(const struct gate *gate, const struct upstream *upstream, const char *repo, int lock,
               struct outcome *outcome, struct error *err)
{
    struct mirror_update update = {0};
    struct refresh_record record;
    int r = mirror_update(gate, upstream, repo, &update, err);

    outcome->changed = update.changed;
    outcome->asked_ns = update.asked_ns;
    record = (struct refresh_record){.started_ns = update.asked_ns, .ok = r == 0};
    snprintf(record.url, sizeof record.url, "%s", upstream->url_text);
    if (r < 0)
        snprintf(record.message, sizeof record.message, "%.*s", REFRESH_MESSAGE_MAX, err->msg);
    lock_write_record(lock, &record);
    return r;
}

static int share_or_ask(struct gate *gate, const struct upstream **upstream, const char *repo,
                        int lock, const struct request *request, struct outcome *outcome,
                        struct error *err)
{
    struct refresh_record record;
    int r;

    if (lock_read_record(lock, &record) && record.started_ns >= request->arrived_ns &&
        strcmp(record.url, (*upstream)->url_text) == 0) {
        outcome->shared = true;
        outcome->asked_ns = record.started_ns;
        return record.ok ? 0 : error_set(err, -EIO, "%s", record.message);
    }
    r = judge_again(gate, upstream, request, outcome, err);
    return r < 0 ? r : ask(gate, *upstream, repo, lock, outcome, err);
}

/* A link by an upstream's former host and path does not lead to its successor. */
static int check_path(const char *path, const char *repo, struct error *err)
{
    char real[PATH_MAX];

    return realpath(path, real) && strcmp(real, repo) == 0
               ? 0
               : error_set(err, -ENOENT, "no such repository at this gate");
}

static int refresh(struct gate *gate, const struct upstream **upstream, const char *repo,
                   const struct request *request, struct outcome *outcome, struct error *err)
{
    cleanup_close int lock = -1;
    int r = lock_take(repo, LOCK_TIMEOUT_MS, &lock, err);

    if (r == 0)
        r = presence_join(gate, *upstream, err);
    if (r == 0)
        r = share_or_ask(gate, upstream, repo, lock, request, outcome, err);
    if (r == 0)
        r = check_path(request->path, repo, err);
    return r < 0 ? r : source_join(gate, repo, err);
}

/* What receive-pack makes first is a folder for what comes. Where there is no room for one, it
 * tells the client no more than "unpacker error". */
static int try_room(const char *repo, struct error *err)
{
    char path[PATH_MAX];
    int r = path_make(path, err, "%s/objects/tmp_objdir-room-XXXXXX", repo);

    if (r < 0)
        return r;
    if (!mkdtemp(path))
        return errno == ENOSPC || errno == EDQUOT
                   ? error_set(err, -errno, "the gate's disk is full")
                   : error_errno(err, -errno, "the gate can't write to its mirror");
    rmdir(path);
    return 0;
}

static void tell_outcome(const struct gate *gate, const struct upstream *upstream,
                         const struct request *request, const struct outcome *outcome, int r,
                         const struct error *err)
{
    cleanup_buf struct buf client = BUF_INIT(64);
    json_t *fields;

    printable(&client, request->client, strnlen(request->client, 64));
    fields = json_pack("{s:s, s:s, s:s, s:b, s:b, s:s}", "repo", upstream->name, "service",
                       request->service, "client", client.data, "shared", outcome->shared,
                       "changed", outcome->changed, "result",
                       r == 0            ? "ok"
                       : outcome->denied ? "denied"
                                         : "unavailable");
    if (r < 0)
        json_object_set_new(fields, "reason", json_string(err->msg));
    if (outcome->asked_ns)
        json_object_set_new(fields, "asked_ns", json_integer((json_int_t)outcome->asked_ns));
    event_send(gate, "refresh", request->arrived_ns, fields);
}

/* One line, whatever the message holds. */
static int refuse(const char *message)
{
    cleanup_buf struct buf line = BUF_INIT(ERROR_MSG_MAX);

    printable(&line, message, strlen(message));
    printf("%s\n", line.data);
    return 1;
}

/* When the client connected: by the time that this program runs, on a machine that many clients
 * keep busy, seconds may have gone, and each would ask the upstream for itself. */
static uint64_t arrival(void)
{
    const char *text = getenv(ENV_ARRIVED);
    uint64_t now = clock_now_ns(), arrived;

    return text && parse_u64(text, now, &arrived) == 0 ? arrived : now;
}

int verb_refresh(int argc, char **argv)
{
    struct request request = {.arrived_ns = arrival(), .client = ""};
    cleanup_gate struct gate gate = {0};
    struct outcome outcome = {0};
    const struct upstream *upstream;
    struct error err = ERROR_INIT;
    char repo[PATH_MAX];
    int r;

    if (argc < 3) {
        fputs("usage: gitgate-gate refresh SERVICE REPOSITORY [HOST CANONHOST IP PORT]\n", stderr);
        return 2;
    }
    request.service = argv[1];
    request.path = argv[2];
    /* What git daemon has for it, in our arguments, is what the client says that it called. */
    if (getenv(ENV_CLIENT))
        request.client = getenv(ENV_CLIENT);
    if (gate_open(&gate, &err) < 0 || gate_load(&gate, &err) < 0) {
        log_error(&gate.log, "cannot read the configuration", json_pack("{s:s}", "error", err.msg));
        return refuse("the gate's configuration is not valid; its log says why");
    }
    upstream = gate_upstream_at(&gate, request.path, repo, &err);
    if (!upstream)
        return refuse(err.msg);
    r = judge_service(upstream, request.service, &err);
    outcome.denied = r < 0;
    if (r == 0)
        r = refresh(&gate, &upstream, repo, &request, &outcome, &err);
    if (r == 0 && strcmp(request.service, "receive-pack") == 0)
        r = try_room(repo, &err);
    tell_outcome(&gate, upstream, &request, &outcome, r, &err);
    return r < 0 ? refuse(err.msg) : 0;
}
