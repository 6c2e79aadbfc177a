/* From a GitGate to the objects that it owns: pure functions, no I/O, no clock.
 *
 * Each returns a new reference to a complete Kubernetes object with labels and (when the gate has a
 * uid) an owner reference, ready for server-side apply, or NULL when memory is short. The same
 * objects, written to files, are what `gitgate run` gives its gate. */
#ifndef GITGATE_RENDER_RENDER_H
#define GITGATE_RENDER_RENDER_H

#include <jansson.h>

#include "api/gitgate.h"
#include "data/problems.h"

/* ConfigMap <gate>-gitgate-hooks: entrypoint, access-hook, pre-receive, proc-receive (POSIX sh) and
 * gate.json (the gate itself: apiVersion, kind, metadata.name and .namespace, spec). */
json_t *render_hooks(const struct gitgate *gate);

/* A changed version means that pods rendered with another one are outdated: sixteen hex digits of
 * the hash over what injection puts into a pod (not over what reaches running pods by itself). */
struct render_version {
    char text[17];
};
struct render_version render_version(const struct gitgate *gate);

/* Source objects as the API server gives them (Secret.data is base64), looked up by name; of one
 * that can't be read a string: why, and what to do. All borrowed. */
struct render_sources {
    json_t *secrets;     /* object: name -> Secret */
    json_t *config_maps; /* object: name -> ConfigMap */
    json_t *made;        /* data of the Secret that was made of the same spec before; NULL: none;
                            null: it isn't known, and the Secret is left as it is */
};

/* Secret <gate>-gitgate-creds with, per upstream, `<name>-key` and `<name>-known_hosts` (ssh), or
 * `<name>-gitconfig` (http: a git configuration file with the credential, read by include.path) and
 * `<name>-ca.crt` (http.caBundle, for GIT_SSL_CAINFO). A Secret that has a key but nothing to pin
 * the host with gives a key without known_hosts: the gate then refuses and says so. An upstream
 * whose credential is missing or unusable is left out, and said in `problems` with path
 * "spec.upstreams[i]...": the others go on. So is one whose source can't be read, but what of it
 * was made before stays. Beside them stands `gitleaks.toml`, what
 * scan.configMapRef names: left out when it is missing or can't be read, and then a gate refuses
 * every push. */
json_t *render_creds(const struct gitgate *gate, const struct render_sources *sources,
                     struct problems *problems);

/* The same without anything in it. */
json_t *render_no_creds(const struct gitgate *gate);

/* ConfigMap <gate>-gitgate-client: `gitconfig`, the insteadOf rules that lead every spelling of the
 * upstreams' URLs to the gate at `git://<authority>/`. */
json_t *render_client(const struct gitgate *gate, const char *authority);

/* An upstream's addresses as they were resolved (extraHosts first, else DNS). */
struct upstream_addresses {
    const char *const *ips; /* NULL-terminated, textual IPv4 or IPv6 */
};

/* NetworkPolicy <gate>-gitgate-internal: into the gated pods comes what came before, but nothing to
 * the gate's port (which listens on loopback), and <gate>-gitgate-egress: what may leave the pods:
 * DNS when a name has to be resolved, each upstream's addresses at its port, and agentEgress.
 * `addresses` has one entry an upstream, in order, or is NULL; an extra host's address goes before
 * them; an upstream with no address gets no rule (closed, not open). Link-local addresses are never
 * let out. */
json_t *render_policy_internal(const struct gitgate *gate);
json_t *render_policy_egress(const struct gitgate *gate,
                             const struct upstream_addresses *addresses);

/* "host key\n" or "[host]:port key\n", a line a key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
void render_known_hosts(const struct url *url, const char *const *keys, struct buf *to);

#endif
