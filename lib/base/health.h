/* A plain HTTP listener for the kubelet's probes: GET /healthz and /readyz.
 *
 * It understands no more of HTTP than a request line, answers and closes; bytes, connections and
 * time per connection are capped. */
#ifndef GITGATE_BASE_HEALTH_H
#define GITGATE_BASE_HEALTH_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"

struct health;

/* `address` is "host:port" or ":port" (all addresses, IPv6 and IPv4); an IPv6 host stands in
 * brackets. `ready` may be NULL: ready as soon as alive. Port 0 takes a free one, see health_port.
 */
int health_start(uv_loop_t *loop, const char *address, bool (*ready)(void *data), void *data,
                 struct health **ret, struct error *err);

int health_port(const struct health *health);

/* Closes all; the loop must run once more. NULL is fine. */
void health_stop(struct health *health);

#endif
