/* How to reach the API server, and as whom.
 *
 * Sources: a pod's ServiceAccount
 * (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/) or a kubeconfig file
 * (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/). Key material lives in memory
 * alone; it is never written to a file, an argument or a log, and wiped by kube_config_done. */
#ifndef GITGATE_KUBE_CONFIG_H
#define GITGATE_KUBE_CONFIG_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

#define KUBE_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct kube_config {
    char *server;     /* "https://host:port", no slash at its end */
    char *namespace_; /* the pod's own or the context's; "default" when neither says */
    struct buf ca;    /* PEM; empty: the system's certificates */
    struct buf cert;  /* PEM client certificate; empty: none */
    struct buf key;   /* PEM key of it */
    struct buf token; /* bearer token; empty: none */
    char *token_file; /* read again while the client lives, as the kubelet rotates it; or NULL */
    bool insecure;    /* insecure-skip-tls-verify */
};

#define KUBE_PEM_MAX (1u << 20)    /* a bundle of a thousand authorities */
#define KUBE_TOKEN_MAX (64u << 10) /* the API server refuses longer headers anyway */

#define KUBE_CONFIG_INIT                                                                           \
    ((struct kube_config){.ca = BUF_INIT(KUBE_PEM_MAX),                                            \
                          .cert = BUF_INIT(KUBE_PEM_MAX),                                          \
                          .key = BUF_INIT(KUBE_PEM_MAX),                                           \
                          .token = BUF_INIT(KUBE_TOKEN_MAX)})
#define cleanup_kube_config CLEANUP(kube_config_done)

void kube_config_done(struct kube_config *config);

/* The pod's ServiceAccount in `dir` (KUBE_SERVICE_ACCOUNT_DIR); the server's address from
 * KUBERNETES_SERVICE_HOST and _PORT. -ENOENT outside a pod. */
int kube_config_in_cluster(const char *dir, struct kube_config *ret, struct error *err);

/* The file's current context. Exec and auth-provider plugins, user names with passwords,
 * proxies, impersonation and a TLS name of its own are refused with the field that asks for them.
 * Relative paths are relative to the file. */
int kube_config_file(const char *path, struct kube_config *ret, struct error *err);

/* The file `path` when it is given; else the pod's ServiceAccount; else $KUBECONFIG (one path),
 * else
 * ~/.kube/config. */
int kube_config_load(const char *path, struct kube_config *ret, struct error *err);

#endif
