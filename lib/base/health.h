/* A plain HTTP listener for the kubelet's probes and for Prometheus: GET /healthz, /readyz and
 * /metrics.
 *
 * It understands no more of HTTP than a request line, answers and closes; bytes, connections and
 * time per connection are capped. */
#ifndef GITGATE_BASE_HEALTH_H
#define GITGATE_BASE_HEALTH_H

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "base/error.h"

struct health;

/* What the listener tells; each may be NULL: ready as soon as alive, no /metrics. */
struct health_source {
    bool (*ready)(void *data);
    void (*metrics)(void *data, struct buf *out); /* see lib/metrics; up to HEALTH_METRICS_MAX */
    void *data;
};

#define HEALTH_METRICS_MAX ((size_t)4 << 20)
#define HEALTH_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* `address` is "host:port" or ":port" (all addresses, IPv6 and IPv4); an IPv6 host stands in
 * brackets. Port 0 takes a free one, see health_port. `source` is copied. */
int health_start(uv_loop_t *loop, const char *address, const struct health_source *source,
                 struct health **ret, struct error *err);

int health_port(const struct health *health);

/* Closes all; the loop must run once more. NULL is fine. */
void health_stop(struct health *health);

#endif
