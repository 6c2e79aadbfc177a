/* The pod's network split as text for nft(8). Pure. */
#ifndef GITGATE_GATE_RULESET_H
#define GITGATE_GATE_RULESET_H

#include "api/gitgate.h"
#include "api/ip.h"
#include "base/buf.h"

#define NAMESERVERS_MAX 8 /* glibc reads three */

/* "nameserver ADDRESS" lines of resolv.conf(5); the number of addresses. */
size_t nameservers_parse(const char *text, struct ip to[NAMESERVERS_MAX]);

/* A whole ruleset, to be loaded in one transaction: it replaces the one before. What it does to a
 * packet that leaves the pod: loopback passes; nothing reaches what no workload may (ip_never),
 * except name servers, at port 53; answers pass; the gate's user may go anywhere; the others where
 * agentEgress says; the rest is rejected, so that a program is told at once. */
void ruleset_add(struct buf *to, const struct gitgate *gate, const struct ip *nameservers,
                 size_t n_nameservers);

#endif
