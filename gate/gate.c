#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/parse.h"

/* etcd takes no object above 1.5 MB, and a ConfigMap holds at most 1 MiB. */
#define GATE_JSON_MAX (2u << 20)

#define NO_UPSTREAM "this repository is no longer an upstream of the gate"

int path_make(char to[PATH_MAX], struct error *err, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(to, PATH_MAX, fmt, ap);
    va_end(ap);
    if (len >= 0 && len < PATH_MAX)
        return 0;
    to[0] = '\0';
    return error_set(err, -ENAMETOOLONG, "the gate's folders have too long names");
}

static int take_dir(const char *variable, const char *fallback, char to[PATH_MAX],
                    struct error *err)
{
    const char *value = getenv(variable);

    if (!value || !*value)
        value = fallback;
    if (value[0] != '/' || strchr(value, '\n'))
        return error_set(err, -EINVAL, "%s must be an absolute path", variable);
    return path_make(to, err, "%s", value);
}

/* What serve gave its hooks under this name, or -1. What they start themselves (git, ssh, gitleaks)
 * does not inherit it. */
static int inherited_fd(const char *variable)
{
    const char *text = getenv(variable);
    uint64_t fd;

    if (!text || parse_u64(text, INT_MAX, &fd) < 0 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return (int)fd;
}

int gate_open(struct gate *gate, struct error *err)
{
    const char *listen = getenv(ENV_LISTEN);
    char real[PATH_MAX];
    int r;

    *gate = (struct gate){.listen = listen && *listen ? listen : LISTEN_DEFAULT};
    gate->log =
        (struct log){.fd = inherited_fd(ENV_LOG_FD), .min = LOG_INFO_, .program = "gitgate-gate"};
    if (gate->log.fd < 0)
        gate->log.fd = STDERR_FILENO;
    gate->events = inherited_fd(ENV_EVENT_FD);
    gate->presence = inherited_fd(ENV_PRESENCE_FD);
    if (gate->presence < 0 && getenv(ENV_PRESENCE_FD)) /* nor was this started by hand */
        return error_set(err, -EBADF, "%s is no open file", ENV_PRESENCE_FD);
    r = take_dir(ENV_CONFIG_DIR, GITGATE_CONFIG_DIR, gate->config_dir, err);
    if (r == 0)
        r = take_dir(ENV_CREDS_DIR, GITGATE_CREDS_DIR, gate->creds_dir, err);
    if (r == 0)
        r = take_dir(ENV_REPOS_DIR, GITGATE_REPOS_DIR, gate->repos_dir, err);
    if (r == 0 && realpath(gate->repos_dir, real))
        memcpy(gate->repos_dir, real, sizeof real);
    return r;
}

void gate_done(struct gate *gate)
{
    gitgate_done(&gate->spec);
}

static int load(const struct gate *gate, struct gitgate *ret, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT(GATE_JSON_MAX);
    cleanup_buf struct buf list = BUF_INIT(ERROR_MSG_MAX);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *object = NULL;
    json_error_t at;
    char path[PATH_MAX];
    int r;

    r = path_make(path, err, "%s/gate.json", gate->config_dir);
    if (r == 0)
        r = file_read(path, &text, err);
    if (r < 0)
        return r;
    object = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &at);
    if (!object)
        return error_set(err, -EINVAL, "gate.json:%d:%d: %s", at.line, at.column, at.text);
    r = gitgate_decode(object, false, ret, &problems);
    if (r < 0) {
        problems_print(&problems, "gate.json", &list);
        return error_set(err, r, "%s", list.data);
    }
    return 0;
}

static void take_spec(struct gate *gate, struct gitgate *spec)
{
    gitgate_done(&gate->spec);
    gate->spec = *spec;
    *spec = (struct gitgate){0};
}

int gate_load(struct gate *gate, struct error *err)
{
    cleanup_gitgate struct gitgate spec = {0};
    int r = load(gate, &spec, err);

    if (r == 0)
        take_spec(gate, &spec);
    return r;
}

int gate_load_again(struct gate *gate, const struct upstream **upstream, struct error *err)
{
    cleanup_gitgate struct gitgate spec = {0};
    struct error why = ERROR_INIT;
    const struct upstream *now;
    int r = load(gate, &spec, &why);

    if (r < 0) {
        log_error(&gate->log, "cannot read the configuration",
                  json_pack("{s:s}", "error", why.msg));
        return error_set(err, r, "the gate's configuration is not valid; its log says why");
    }
    now = gitgate_upstream(&spec, (*upstream)->name);
    if (!now)
        return error_set(err, -ENOENT, NO_UPSTREAM);
    take_spec(gate, &spec);
    *upstream = now;
    return 0;
}

int gate_repo_path(const struct gate *gate, const struct upstream *upstream, char to[PATH_MAX],
                   struct error *err)
{
    return path_make(to, err, "%s/%s.git", gate->repos_dir, upstream->name);
}

int gate_cred_path(const struct gate *gate, const struct upstream *upstream, const char *what,
                   char to[PATH_MAX], struct error *err)
{
    return path_make(to, err, "%s/%s-%s", gate->creds_dir, upstream->name, what);
}

const struct upstream *gate_upstream_at(const struct gate *gate, const char *dir,
                                        char repo[PATH_MAX], struct error *err)
{
    char wanted[PATH_MAX];

    if (!realpath(dir, repo)) {
        error_set(err, -errno, "no such repository at this gate");
        return NULL;
    }
    for (size_t i = 0; i < gate->spec.n_upstreams; i++)
        if (gate_repo_path(gate, &gate->spec.upstreams[i], wanted, err) == 0 &&
            strcmp(wanted, repo) == 0)
            return &gate->spec.upstreams[i];
    error_set(err, -ENOENT, NO_UPSTREAM);
    return NULL;
}

size_t gate_upstream_index(const struct gate *gate, const struct upstream *upstream)
{
    return (size_t)(upstream - gate->spec.upstreams);
}
