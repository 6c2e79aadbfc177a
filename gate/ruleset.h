/* The pod's network split as text for nft(8). Pure. */
#ifndef GITGATE_GATE_RULESET_H
#define GITGATE_GATE_RULESET_H

#include <stdint.h>

#include "api/gitgate.h"
#include "api/ip.h"
#include "base/buf.h"

#define NAMESERVERS_MAX 8 /* glibc reads three */

/* "nameserver ADDRESS" lines of resolv.conf(5); the number of addresses. */
size_t nameservers_parse(const char *text, struct ip to[NAMESERVERS_MAX]);

/* A whole ruleset, to be loaded in one transaction: it replaces the one before. What it does to a
 * packet that leaves the pod: loopback passes; nothing reaches what no workload may (ip_never),
 * except name servers, at port 53; answers pass; the gate may go anywhere; the others where
 * agentEgress says; the rest is rejected, so that a program is told at once.
 *
 * The gate is who has its user id and `group` as the primary group. The user id is the same in
 * every pod, so an agent's image may name it; the group is drawn for each pod. Being in the group
 * beside another (supplementalGroups) is not enough: a socket has its maker's primary group alone.
 */
void ruleset_add(struct buf *to, const struct gitgate *gate, uint32_t group,
                 const struct ip *nameservers, size_t n_nameservers);

#endif
