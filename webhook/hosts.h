/* The pod's one /etc/hosts, which agents and gate read: what a gate writes there, and what must not
 * stand there beside it.
 *
 * The kubelet puts the pod's own names first, with the pod's own address, then its hostAliases
 * (https://kubernetes.io/docs/concepts/services-networking/add-entries-to-pod-etc-hosts-with-host-aliases/).
 * A name that means the gate or an upstream must mean nothing else there: git would ask the wrong
 * one, which fails at the host key or certificate with words that nobody understands. */
#ifndef GITGATE_WEBHOOK_HOSTS_H
#define GITGATE_WEBHOOK_HOSTS_H

#include "api/gitgate.h"
#include "data/document.h"
#include "data/problems.h"
#include "patch.h"

/* Of one gate, made once: GITGATE_HOSTNAME, its extraHosts, and its upstreams' hosts. */
struct hosts;

/* Borrows the gate's strings. NULL when memory is short. */
struct hosts *hosts_new(const struct gitgate *gate);
void hosts_free(struct hosts *hosts);

/* Adds a problem for each name that the pod, `namespace_` its namespace, has for itself and that is
 * one of these. */
void hosts_guard(const struct hosts *hosts, const struct node *pod, const char *namespace_,
                 struct problems *problems);

/* Adds what is not there yet to the pod's hostAliases; a problem for each of these names that they
 * give another address. Takes time as the names of both do, times a logarithm: whoever makes a
 * large pod must not keep the webhook from all others. */
void hosts_patch(const struct hosts *hosts, const struct node *spec, struct patch *patch,
                 struct problems *problems);

#endif
