/* The GitGate resource (gitgates.gitgate.dev, v1alpha1) as C structures, after defaults.
 *
 * The controller, the webhook, the CLI and the gate itself read the same object with the same
 * decoder: from the API server, from a file, and from the `gate.json` of the hooks ConfigMap. */
#ifndef GITGATE_API_GITGATE_H
#define GITGATE_API_GITGATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/url.h"
#include "base/error.h"
#include "data/problems.h"

#define GITGATE_GROUP "gitgate.dev"
#define GITGATE_API_VERSION "gitgate.dev/v1alpha1"
#define GITGATE_KIND "GitGate"

#define GITGATE_LABEL_GATE "gitgate.dev/gate"           /* pods, owned objects: gate's name */
#define GITGATE_LABEL_INJECTION "gitgate.dev/injection" /* namespaces: "enabled" */
/* Owned objects have this label, with GITGATE_MANAGER as its value. */
#define GITGATE_LABEL_MANAGED_BY "app.kubernetes.io/managed-by"
#define GITGATE_MANAGER "gitgate"
#define GITGATE_ANNOTATION_VERSION "gitgate.dev/version" /* injected pods: rendered version */

#define GITGATE_UPSTREAMS_MAX 64
#define GITGATE_UID 9418 /* the gate's user: git's own port number */
#define GITGATE_PORT 9418
#define GITGATE_HOSTNAME "git-gate" /* how agents reach the gate: hostAliases */

/* Where the gate finds its files, in the pod. `gitgate run` puts them below its state folder. */
#define GITGATE_CONFIG_DIR "/etc/git-gate"
#define GITGATE_CREDS_DIR "/git-gate/creds"
#define GITGATE_SCAN_CONFIG "gitleaks.toml" /* below the credentials: of scan.configMapRef */
#define GITGATE_REPOS_DIR "/git"
#define GITGATE_CLIENT_DIR "/etc/git-gate-client" /* in agents' containers; file "gitconfig" */

enum gitgate_placement { PLACEMENT_SIDECAR, PLACEMENT_GATEWAY };
enum gitgate_auth { AUTH_ANONYMOUS, AUTH_SSH, AUTH_HTTP };

struct extra_host {
    const char *host;
    const char *ip;
};

struct push_policy {
    bool allow;
    const char **refs; /* NULL-terminated patterns; '*' matches any run of characters */
    bool allow_force;
    bool allow_delete;
    const char **options; /* NULL: any push option; else NULL-terminated patterns, perhaps none */
};

struct upstream {
    const char *name;
    const char *url_text;
    struct url url;
    enum gitgate_auth auth;
    const char *secret;           /* name of the source Secret; NULL when anonymous */
    const char **known_host_keys; /* NULL-terminated "type base64" lines; may be empty */
    const char *ca_config_map;    /* NULL: the system's certificates */
    const char *ca_key;
    struct extra_host *extra_hosts;
    size_t n_extra_hosts;
    bool fetch_allow;
    struct push_policy push;
};

struct scan_policy {
    json_t *rules;                       /* borrowed: the array spec.scan.rules, or NULL */
    json_t *allow;                       /* borrowed: the array spec.scan.allow, or NULL */
    const char *config_map, *config_key; /* a gitleaks configuration; NULL: gitleaks' own rules */
    uint64_t timeout_ms;
    uint64_t max_push_size; /* bytes */
};

struct gitgate {
    json_t *source; /* owned: the whole object with defaults filled in; strings point into it */
    const char *name;
    const char *namespace_;
    const char *uid; /* "" for a file */
    uint64_t generation;
    json_t *pod_selector; /* borrowed; NULL when the gate selects by label alone */
    enum gitgate_placement placement;
    struct upstream *upstreams;
    size_t n_upstreams;
    struct scan_policy scan;
    bool network_managed;       /* spec.network.policy: Managed */
    bool isolation_nftables;    /* spec.network.isolation: Nftables */
    bool agent_dns;             /* spec.network.agentEgress.dns */
    json_t *agent_egress;       /* borrowed: spec.network.agentEgress.to, or NULL */
    const char *image;          /* "" = the installation's default */
    json_t *image_pull_secrets; /* borrowed or NULL */
    json_t *resources;          /* borrowed or NULL */
    const char *cache_size_limit;
};

/* Decodes, fills in defaults and validates. All that is wrong is added to `problems` (each with its
 * field path), and -EINVAL returned; -ENOMEM otherwise. `object` is copied, not changed. Fields
 * that this version does not know are problems when `strict`. Free with gitgate_done. */
int gitgate_decode(const json_t *object, bool strict, struct gitgate *ret,
                   struct problems *problems);
void gitgate_done(struct gitgate *gate);
#define cleanup_gitgate __attribute__((cleanup(gitgate_done)))

const struct upstream *gitgate_upstream(const struct gitgate *gate, const char *name);

/* The address that spec.upstreams[].extraHosts give the host (those of all upstreams hold for
 * each), or NULL: then it is for the resolver. Borrowed. */
const char *gitgate_extra_ip(const struct gitgate *gate, const char *host);

/* All upstreams' extra hosts as one list without doubles (borrowed strings; free() the array).
 * Returns their number. A conflict cannot occur in a decoded gate. */
int gitgate_extra_hosts(const struct gitgate *gate, struct extra_host **ret, struct error *err);

#endif
