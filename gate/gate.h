/* What every verb starts from: the gate's folders, its log, and the GitGate that it serves. */
#ifndef GITGATE_GATE_GATE_H
#define GITGATE_GATE_GATE_H

#include <limits.h>

#include "api/gitgate.h"
#include "base/error.h"
#include "base/log.h"

/* Folders come from the environment, so that `gitgate run` and the tests can move them; the pod
 * uses the defaults of api/gitgate.h. */
#define ENV_CONFIG_DIR "GITGATE_CONFIG_DIR"
#define ENV_CREDS_DIR "GITGATE_CREDS_DIR"
#define ENV_REPOS_DIR "GITGATE_REPOS_DIR"
#define ENV_LISTEN "GITGATE_LISTEN"
#define ENV_LOG_FD "GITGATE_LOG_FD"           /* hooks: the gate's standard output, inherited */
#define ENV_EVENT_FD "GITGATE_EVENT_FD"       /* hooks: see event.h */
#define ENV_PRESENCE_FD "GITGATE_PRESENCE_FD" /* hooks: see presence.h */
#define ENV_ARRIVED "GITGATE_ARRIVED_NS"      /* hooks: when the client's connection was accepted */
#define ENV_CLIENT "GITGATE_CLIENT"           /* hooks: its address, as the kernel has it */
#define ENV_METRICS "GITGATE_METRICS"         /* where /metrics, /healthz and /readyz are */

#define LISTEN_DEFAULT "127.0.0.1:9418"
/* Unless told otherwise, for whoever looks from inside the pod; "off" for none. */
#define METRICS_DEFAULT "127.0.0.1:9419"
#define METRICS_OFF "off"

/* Inside each bare repository: what belongs to us and not to git. Relative, as git and ssh run with
 * the repository as their folder: no path of the machine gets into a configuration or a message. */
#define OWN_DIR "gitgate"
/* And the refs that are ours and not the upstream's: hidden, and nothing is known by them. */
#define OWN_REFS "refs/gitgate"

struct gate {
    char config_dir[PATH_MAX];
    char creds_dir[PATH_MAX];
    char repos_dir[PATH_MAX]; /* absolute, links resolved once it exists */
    const char *listen;
    struct log log;
    int events;          /* -1: none, see event.h */
    int presence;        /* -1: none, see presence.h */
    struct gitgate spec; /* empty until gate_load */
};

/* Reads the environment; makes no file. Free with gate_done. */
int gate_open(struct gate *gate, struct error *err);
void gate_done(struct gate *gate);
#define cleanup_gate __attribute__((cleanup(gate_done)))

/* Reads gate.json into `spec`, replacing what was there only when the new one is valid. */
int gate_load(struct gate *gate, struct error *err);

/* The same under a repository's lock, for whom may have waited for it: `upstream` is what it is
 * now. The error, that there is none any more or no valid configuration, is for the client to read;
 * then both are as they were. */
int gate_load_again(struct gate *gate, const struct upstream **upstream, struct error *err);

/* A path by its format; -ENAMETOOLONG, and then no path at all. */
__attribute__((format(printf, 3, 4))) int path_make(char to[PATH_MAX], struct error *err,
                                                    const char *fmt, ...);

/* "<repos_dir>/<name>.git" */
int gate_repo_path(const struct gate *gate, const struct upstream *upstream, char to[PATH_MAX],
                   struct error *err);

/* The upstream whose repository `dir` is (by its real path: links lead to it), with that path in
 * `repo`. NULL and an error that a client may read when there is none. */
const struct upstream *gate_upstream_at(const struct gate *gate, const char *dir,
                                        char repo[PATH_MAX], struct error *err);

/* "<creds_dir>/<name>-<what>". */
int gate_cred_path(const struct gate *gate, const struct upstream *upstream, const char *what,
                   char to[PATH_MAX], struct error *err);

/* The upstream's place in the GitGate, for messages: spec.upstreams[i]. */
size_t gate_upstream_index(const struct gate *gate, const struct upstream *upstream);

#endif
