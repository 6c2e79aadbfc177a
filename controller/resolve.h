/* The addresses of upstreams' hosts, asked for again and again (getaddrinfo tells no TTL).
 *
 * A host that is held is resolved and stays so: an address that an answer leaves out is kept for a
 * grace period (large hosts answer with a part of their addresses in turn), and a look-up that
 * fails takes nothing away. So a flap of the DNS never empties a policy. Link-local addresses
 * (metadata services) are never taken.
 *
 * Look-ups are few at once, and a namespace has at most a part of them under way (turns.h): hosts
 * whose name servers never answer delay those of other namespaces by that part. A host that several
 * namespaces hold is looked up once, as soon as it is one's turn. */
#ifndef GITGATE_CONTROLLER_RESOLVE_H
#define GITGATE_CONTROLLER_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

struct resolver;

struct resolution {
    bool pending;           /* no look-up has ended yet */
    uint64_t since;         /* uv_now of the first look-up */
    const char *const *ips; /* NULL-terminated, sorted */
    const char *error;      /* why the last look-up failed, or "" */
};

/* Tells each namespace that holds the host that its addresses or its error are others than before.
 * `awaited`: nothing was known, or no address; else it may wait. Nothing may be held or dropped
 * meanwhile. */
typedef void resolver_changed_fn(void *data, const char *ns, const char *host, bool awaited);

/* Before anything else of the process uses libuv's threads: it says how many they are. */
struct resolver *resolver_new(uv_loop_t *loop, resolver_changed_fn *changed, void *data);

/* Handles close on the loop, and look-ups that are under way end on it. NULL is fine. */
void resolver_free(struct resolver *resolver);

/* Counted: each hold needs its drop. */
int resolver_hold(struct resolver *resolver, const char *ns, const char *host);
void resolver_drop(struct resolver *resolver, const char *ns, const char *host);

/* Of a host that is held. Pointers are good until the loop runs on. */
struct resolution resolver_get(const struct resolver *resolver, const char *host);

#endif
